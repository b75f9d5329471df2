"""A price table: one immutable version of one source's prices, effective from an instant.

A new price is a new table, never an edit. A ``snapshot`` lists all prices of its source, so models that it leaves out are
withdrawn; a ``patch`` lists changes, including withdrawals. A model that its source lists without a price is withdrawn, too:
unknown is not zero.
"""

import hashlib
import json
from collections.abc import Iterable
from enum import IntEnum, StrEnum

from msgspec import Struct

from pricing.errors import InvalidPriceError
from pricing.rates import Rate

ANY_ROUTE = ""

DISCOUNT = "discount"
"""The source name of an account's discount tables. No price sheet of an account may use it."""

RateKey = tuple[str, str, str]
"""(provider, model, operation)."""


class Layer(IntEnum):
    """Layers of price lists, highest precedence first."""

    ACCOUNT = 0
    OPERATOR = 1
    ROUTE = 2
    BUNDLED = 3


class TableKind(StrEnum):
    """Whether a table lists all prices of its source, or only changes."""

    SNAPSHOT = "snapshot"
    PATCH = "patch"


class PriceTable(Struct, frozen=True, kw_only=True):
    """Rates of one source, effective from ``effective_from`` (microseconds since 1970, UTC) until a later table of the source.

    ``route`` limits the table to requests of that route: the router's prices do not apply to requests that a partner bills.
    ``account_id`` is set on the ACCOUNT layer only. ``recorded_at`` is when the table was recorded here.
    """

    source: str
    layer: Layer
    kind: TableKind
    effective_from: int
    rates: tuple[Rate, ...]
    withdrawn: frozenset[RateKey] = frozenset()
    route: str = ANY_ROUTE
    account_id: int | None = None
    recorded_at: int = 0
    id: int = 0

    def __post_init__(self) -> None:
        if not self.source:
            raise InvalidPriceError("a price table needs the name of its source")
        if (self.layer is Layer.ACCOUNT) != (self.account_id is not None):
            raise InvalidPriceError(f"{self.source}: a price table has an account on the account layer, and only there")
        seen: set[tuple[RateKey, int]] = set()
        for rate in self.rates:
            tier = (key_of(rate), rate.context_from)
            if tier in seen:
                raise InvalidPriceError(f"{self.source}: {rate.provider} {rate.model} has two prices for the same instant")
            seen.add(tier)
        for key in self.withdrawn & {key_of(rate) for rate in self.rates}:
            raise InvalidPriceError(f"{self.source}: {key[0]} {key[1]} is both priced and withdrawn")

    @property
    def keys(self) -> frozenset[RateKey]:
        """The keys that the table prices or withdraws by name."""
        return self.withdrawn | {key_of(rate) for rate in self.rates}

    @property
    def digest(self) -> str:
        """SHA-256 of everything that affects a price. Tables with the same content are the same version."""
        rates = sorted(
            [*key_of(rate), rate.context_from, sorted((k, p.pico, p.block) for k, p in rate.prices.items())]
            for rate in self.rates
        )
        content = [
            self.source, int(self.layer), self.kind.value, self.effective_from, self.route, self.account_id,
            rates, sorted(self.withdrawn),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def key_of(rate: Rate) -> RateKey:
    """Return the key of a rate: (provider, model, operation)."""
    return rate.provider, rate.model, rate.operation


def recorded_until(tables: Iterable[PriceTable], instant: int | None) -> list[PriceTable]:
    """Return the tables recorded up to an instant (microseconds UTC), in the given order; None returns all.

    A price can be recorded after it took effect, so this differs from which prices were in force at that instant.
    """
    return [table for table in tables if instant is None or table.recorded_at <= instant]
