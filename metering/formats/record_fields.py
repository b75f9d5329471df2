"""Read and check single fields of a record of unknown shape.

Absent and null both mean not stated. Errors name the field and what to do. They repeat at most a short invalid value of a field
that the service keeps, never content.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from metering.domain.errors import RecordError
from metering.domain.usage.events import MAX_ID_LENGTH, MAX_TAG_VALUE_LENGTH, MAX_TAGS, ROUTES, UNKNOWN, QuantityGrade
from metering.domain.usage.model_names import provider_name, split_model
from metering.formats.json_records import json_type
from pricing.errors import InvalidQuantityError
from pricing.money import MAX_CHARGE_NANO, NANO_PER_USD, divide_up
from pricing.quantities import Quantities, check_count

# The code or type of an error, never its message.
FAILURE_CODE = "[A-Za-z0-9_.:-]{1,64}"
_FAILURE = re.compile(FAILURE_CODE)


def text_field(record: Mapping[str, Any], name: str) -> str:
    """Return a string, empty if not stated. Raises RecordError wrong_type, too_long, nul_byte or invalid_utf8."""
    value = record.get(name)
    return "" if value is None else kept_text(value, name)


def kept_text(value: object, field: str) -> str:
    """Return ``value`` if it is a string that can be stored: at most 255 characters, no NUL, valid Unicode."""
    if not isinstance(value, str):
        raise RecordError("wrong_type", f"{field} must be a string, but is {json_type(value)}", field)
    if len(value) > MAX_ID_LENGTH:
        raise RecordError("too_long", f"{field} must have at most {MAX_ID_LENGTH} characters, but has {len(value)}", field)
    if "\0" in value:
        raise RecordError("nul_byte", f"{field} contains a NUL character, which cannot be stored", field)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RecordError("invalid_utf8", f"{field} contains a lone surrogate, which is not valid Unicode", field) from None
    return value


def count_field(value: object, field: str) -> int:
    """Return a whole number from 0 to MAX_QUANTITY. Raises RecordError invalid_quantity."""
    try:
        return check_count(field, value)
    except InvalidQuantityError as error:
        raise RecordError("invalid_quantity", str(error), field) from None


def amount_field(value: object, field: str) -> int | None:
    """Return an amount of nano-USD, None if not stated. Raises RecordError invalid_quantity."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_CHARGE_NANO:
        return value
    raise RecordError("invalid_quantity", f"{field} must be a whole number of nano-USD from 0 to 2^43-1", field)


def dollars_as_nano(value: object) -> int | None:
    """Return an amount of dollars (a number or a decimal string) as nano-USD, rounded up; None if it is not an amount.

    A gateway's cost is only informational, so one that cannot be read never rejects the event.
    """
    nano = scaled_up(value, NANO_PER_USD)
    return nano if nano is not None and nano <= MAX_CHARGE_NANO else None


def scaled_up(value: object, units: int) -> int | None:
    """Return a decimal number times ``units``, rounded up after exact multiplication; None if not a number, or negative."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    # Without these bounds, a short text such as 1e999999 would become an integer of a million digits.
    if not number.is_finite() or number < 0 or number.adjusted() > 12 or len(number.as_tuple().digits) > 40:
        return None
    if number.adjusted() < -40:
        return 1 if number else 0
    numerator, denominator = number.as_integer_ratio()
    return divide_up(numerator * units, denominator)


def status_field(value: object, field: str = "status") -> int | None:
    """Return an HTTP status, None if not stated. Raises RecordError invalid_status."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    raise RecordError("invalid_status", f"{field} must be an HTTP status from 100 to 599", field)


def route_field(value: object, field: str = "route") -> str:
    """Return a billing route, empty if not stated or ``unknown``. Raises RecordError invalid_route."""
    if value is None or value in ("", UNKNOWN):
        return ""
    if isinstance(value, str) and value in ROUTES:
        return value
    raise RecordError("invalid_route", f"{field} must be one of {', '.join(ROUTES)}", field)


def failure_field(value: object, field: str = "failure") -> str:
    """Return the code of a failure, empty if not stated. Raises RecordError invalid_failure: a message is not a code."""
    if value is None or value == "":
        return ""
    if isinstance(value, str) and _FAILURE.fullmatch(value):
        return value
    raise RecordError(
        "invalid_failure", f"{field} must be a short code such as server_error: letters, digits and _.:-, at most 64", field
    )


def tags_field(value: object) -> dict[str, str]:
    """Return tags, with numbers and booleans as JSON text. Raises RecordError wrong_type or too_many_tags."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RecordError("wrong_type", f"tags must be an object of strings, but is {json_type(value)}", "tags")
    tags = {kept_text(name, "tags"): tag_text(item, "tags") for name, item in value.items() if item is not None}
    return limited_tags(tags)


def limited_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return ``tags`` if there are at most MAX_TAGS. Raises RecordError too_many_tags."""
    if len(tags) > MAX_TAGS:
        raise RecordError("too_many_tags", f"an event has at most {MAX_TAGS} tags, this record has {len(tags)}", "tags")
    return tags


def tag_text(value: object, field: str) -> str:
    """Return a scalar as a tag's value. Raises RecordError wrong_type or too_long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)[:MAX_TAG_VALUE_LENGTH] if Decimal(value).adjusted() < 40 else "(too large)"
    if isinstance(value, str) and len(value) > MAX_TAG_VALUE_LENGTH:
        raise RecordError("too_long", f"{field}: a tag has at most {MAX_TAG_VALUE_LENGTH} characters", field)
    return kept_text(value, field)


def require_reasoning_inside_output(quantities: Quantities, field: str) -> Quantities:
    """Return ``quantities`` if its output includes its reasoning. Raises RecordError reasoning_exceeds_output."""
    if quantities.reasoning_tokens > quantities.output_tokens + quantities.output_audio_tokens:
        raise RecordError(
            "reasoning_exceeds_output",
            f"{field} {quantities.reasoning_tokens} exceeds the output tokens {quantities.output_tokens}, which include"
            " reasoning",
            field,
        )
    return quantities


_NOTHING = Quantities()


def grade_of(quantities: Quantities | None, estimate_reason: str) -> int:
    """Return the quantity grade: unstated, estimated, or measured. None, or nothing but zeros, states nothing."""
    if quantities is None or quantities == _NOTHING:
        return QuantityGrade.UNSTATED
    return QuantityGrade.ESTIMATED if estimate_reason else QuantityGrade.MEASURED


@lru_cache(maxsize=8192)
def served_by(model: str, provider: str, default_provider: str) -> tuple[str, str]:
    """Return (model without suffix, provider in Hugging Face's spelling).

    The provider that the record states wins, then the model's suffix, then the default.
    """
    name, served = split_model(model, provider_name(provider))
    return name, provider_name(default_provider) if served == UNKNOWN else served
