"""Fields that price lists share: names, instants, context sizes. Each is read exactly, or raises an error with its place."""

import re
from datetime import UTC, datetime

from pricing.errors import InvalidPriceError
from pricing.excerpt import excerpt
from pricing.tables import ANY_ROUTE

ROUTES = {"routed": "routed", "provider_key": "provider_key", "serverless": "serverless", "any": ANY_ROUTE}
MAX_NAME_LENGTH = 255
MAX_SOURCE_LENGTH = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_ALONE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def read_name(value: object, field: str, where: str, longest: int = MAX_NAME_LENGTH) -> str:
    """Return a text on one line, without control characters."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text or len(text) > longest or not text.isprintable():
        raise InvalidPriceError(f"{where}: {field} must be text of at most {longest} characters, got {excerpt(value)}")
    return text


def read_provider(value: object, where: str) -> str:
    """Return a provider's name, which must be in lower case, as at Hugging Face."""
    provider = read_name(value, "provider", where)
    if provider != provider.lower():
        raise InvalidPriceError(f"{where}: provider must be in lower case, as Hugging Face spells it, got {provider!r}")
    return provider


def read_instant(text: str, field: str, where: str) -> int:
    """Return an instant as microseconds since 1970 UTC; a date is its midnight UTC."""
    try:
        moment = datetime.fromisoformat(f"{text}T00:00:00Z" if _DATE_ALONE.fullmatch(text) else text)
    except ValueError:
        raise InvalidPriceError(f"{where}: {field} {excerpt(text)} is not a time such as 2026-10-19T00:00:00Z") from None
    if moment.tzinfo is None:
        raise InvalidPriceError(f"{where}: {field} {excerpt(text)} has no time zone; add one, as in 2026-10-19T00:00:00Z")
    try:
        return micros_of(moment)
    except OverflowError:
        raise InvalidPriceError(f"{where}: {field} {excerpt(text)} is out of range") from None


def micros_of(moment: datetime) -> int:
    """Return a time with a zone as microseconds since 1970 UTC. Raises OverflowError for a year out of range."""
    elapsed = moment - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def read_context_from(value: object, where: str) -> int:
    """Return the number of prompt tokens from which a tier applies, above zero."""
    if not (isinstance(value, str) and value.isascii() and value.isdecimal() and 1 <= len(value) <= 10 and int(value)):
        raise InvalidPriceError(f"{where}: context_from must be a whole number of tokens above zero, got {excerpt(value)}")
    return int(value)
