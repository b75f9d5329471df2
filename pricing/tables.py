"""A price table: one immutable version of one source's prices, valid from an instant.

A new price is a new table, never an edit. A ``snapshot`` lists everything its source knows, so that what it leaves out is
withdrawn; a ``patch`` lists changes, withdrawals among them. An entry whose source knows the model but not its price is a
withdrawal too: unknown is not zero.
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
"""The source of an account's prices that are expanded from what others pay; no sheet of the account may be called so."""

RateKey = tuple[str, str, str]
"""(provider, model, operation)."""


class Layer(IntEnum):
    """Whose prices a table holds, in order of precedence."""

    ACCOUNT = 0
    OPERATOR = 1
    ROUTE = 2
    BUNDLED = 3


class TableKind(StrEnum):
    """Whether a table lists all its source's prices or only what changed."""

    SNAPSHOT = "snapshot"
    PATCH = "patch"


class PriceTable(Struct, frozen=True, kw_only=True):
    """Rates of one source from ``effective_from`` (microseconds since 1970, UTC) until the source says otherwise.

    ``route`` limits the table to events of that route: the router's prices say nothing about what a partner bills on its
    own key. ``account_id`` is set on the ACCOUNT layer and nowhere else. ``recorded_at`` is when we came to know it.
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
            raise InvalidPriceError(f"{self.source}: prices of an account, and only they, name the account")
        seen: set[tuple[RateKey, int]] = set()
        for rate in self.rates:
            tier = (key_of(rate), rate.context_from)
            if tier in seen:
                raise InvalidPriceError(f"{self.source}: {rate.provider} {rate.model} has two prices from the same instant")
            seen.add(tier)
        for key in self.withdrawn & {key_of(rate) for rate in self.rates}:
            raise InvalidPriceError(f"{self.source}: {key[0]} {key[1]} is both priced and withdrawn")

    @property
    def keys(self) -> frozenset[RateKey]:
        """What the table says something about by name."""
        return self.withdrawn | {key_of(rate) for rate in self.rates}

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides a price: the same content is the same version, whoever records it."""
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
    """Return what a rate is for: (provider, model, operation)."""
    return rate.provider, rate.model, rate.operation


def recorded_until(tables: Iterable[PriceTable], instant: int | None) -> list[PriceTable]:
    """Return the tables that were known at an instant (microseconds UTC), all where it is None, in the order given.

    What was valid then and what was known then are two questions: a price can be recorded after it began.
    """
    return [table for table in tables if instant is None or table.recorded_at <= instant]
