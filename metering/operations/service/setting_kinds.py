"""The kinds of values that settings have: how each is read from text, what is allowed, and how it is written."""

import base64
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from metering.domain.reconciliation.variances import Tolerance
from metering.operations.alerts.webhook_settings import guard_of
from metering.operations.reconciliation.reconcile_settings import read_tolerances
from pricing.dollars import shortest_usd
from pricing.money import NANO_PER_USD

T = TypeVar("T")

_MAX_DIGITS = 15
_KEY_BYTES = 32
_PPM_PER_PERCENT = 10_000


class Kind(Struct, Generic[T], frozen=True):
    """A kind of value. ``read`` raises ValueError for text that is not ``allowed``, which completes "must be".

    ``repeat`` is False where invalid text may contain a secret, so that an error does not repeat it.
    """

    allowed: str
    read: Callable[[str], T]
    write: Callable[[T], str] = str
    repeat: bool = True


def whole_number(least: int, most: int | None = None) -> Kind[int]:
    """Return the kind of whole numbers from ``least`` to ``most``."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or len(text) > _MAX_DIGITS:
            raise ValueError
        number = int(text)
        if number < least or (most is not None and number > most):
            raise ValueError
        return number

    return Kind(f"a whole number from {least}" + ("" if most is None else f" to {most}"), read)


def choice(values: Mapping[str, T]) -> Kind[T]:
    """Return the kind of a fixed set of words, each with the value it means."""

    def read(text: str) -> T:
        if text not in values:
            raise ValueError
        return values[text]

    def write(value: T) -> str:
        return next(word for word, meant in values.items() if meant == value)

    *most, last = values
    return Kind(f"{', '.join(most)} or {last}", read, write)


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _named(text: str) -> dict[str, str]:
    pairs = [item.partition("=") for item in _items(text)]
    if not all(name.strip() and equals and value.strip() for name, equals, value in pairs):
        raise ValueError
    return {name.strip(): value.strip() for name, _, value in pairs}


def _write_named(values: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(values.items()))


def _networks(text: str) -> tuple[str, ...]:
    items = _items(text)
    guard_of([], list(items))  # raises for what is not a network
    return items


def _keys(text: str) -> tuple[str, ...]:
    keys = _items(text)
    if any(len(base64.b64decode(key, altchars=b"-_", validate=True)) != _KEY_BYTES for key in keys):
        raise ValueError
    return keys


def _address(text: str) -> str:
    url = urlsplit(text)
    host, _ = url.hostname, url.port  # raises for a port that is not a number
    if host is None or url.query or url.fragment or url.username is not None or url.password is not None:
        raise ValueError
    if url.scheme != "https" and not (url.scheme == "http" and _is_this_machine(host)):
        raise ValueError
    return text.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _write_tolerances(tolerances: Mapping[str, Tolerance]) -> str:
    return ",".join(
        (f"{format_}=" if format_ else "")
        + shortest_usd(tolerance.nano, NANO_PER_USD)
        + (f"/{shortest_usd(tolerance.ppm, _PPM_PER_PERCENT)}%" if tolerance.ppm else "")
        for format_, tolerance in tolerances.items()
    )


def _written(items: Any) -> str:
    return ",".join(sorted(items))


TEXT: Kind[str] = Kind("text", str)
NAMES: Kind[frozenset[str]] = Kind("names separated by commas", lambda text: frozenset(_items(text)), _written)
HOSTS: Kind[tuple[str, ...]] = Kind("hosts separated by commas", _items, _written)
NETWORKS: Kind[tuple[str, ...]] = Kind("hosts and networks (10.1.0.0/16) separated by commas", _networks, _written)
NAMED: Kind[dict[str, str]] = Kind("name=value, or several of them separated by commas", _named, _write_named)
YES_NO: Kind[bool] = choice({"yes": True, "no": False})
ADDRESS: Kind[str] = Kind(
    "an https:// address without user, query or fragment (http:// only for this machine)", _address, repeat=False
)
KEYS: Kind[tuple[str, ...]] = Kind(
    "32 bytes in URL-safe base64, or several of them separated by commas", _keys, _written, repeat=False
)
TOLERANCES: Kind[dict[str, Tolerance]] = Kind(
    "dollars (0.01), with a share of the bill (0.01/0.1%), for one format (csv=0.05), or several separated by commas",
    read_tolerances,
    _write_tolerances,
)
DATABASE_URL: Kind[str] = Kind("sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME", str, repeat=False)
