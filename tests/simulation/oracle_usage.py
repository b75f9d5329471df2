"""What requests cost and where they are billed. Written from the rules, not from the service.

The price of a request is the account's own if there is one, else the operator's: the one effective latest but not after the
request, of equals the one recorded last. The cost is exact and rounded up to a nano-dollar once. Unknown stays unknown. An
amount is billed in the request's month, or in the first open one if that is closed. So is everything that changes later.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from simulation.oracle_plans import following, month_of
from simulation.scenario import UNSTATED, Price, Record


class Stay(Struct):
    """The time that a request counts under one provider, model and route: the months in which it is listed, priced and left."""

    provider: str
    model: str
    route: str
    month: int
    failed: bool
    priced: int | None = None
    left: int | None = None


class State(NamedTuple):
    """What a correction changes of a request: where it counts, and for how much."""

    counts: bool
    provider: str
    model: str
    route: str
    nano: int | None
    is_reported: bool


class CountedRequest(Struct):
    """A request. ``record`` is what is known of it now, ``route`` its billing route.

    ``nano`` is its cost, None if unpriced; ``billed`` is everything posted: (month, route, nano).
    """

    record: Record
    route: str
    nano: int | None = None
    is_reported: bool = False
    counts: bool = False
    stays: list[Stay] = field(default_factory=list)
    billed: list[tuple[int, str, int]] = field(default_factory=list)

    @property
    def origin(self) -> int:
        """The month of the request."""
        return month_of(self.record.time.date())

    @property
    def succeeded(self) -> bool:
        """Whether it was answered: by the status, and if there is none, because no error is stated."""
        return self.record.status is None or 200 <= self.record.status < 400

    @property
    def is_unpriced(self) -> bool:
        """Whether it counts and has no price yet."""
        return self.counts and self.nano is None

    @property
    def state(self) -> State:
        """Where it counts, and for how much."""
        return State(self.counts, self.record.provider, self.record.model, self.route, self.nano, self.is_reported)

    def enter(self, month: int) -> None:
        """Count it in ``month``, at its cost."""
        self.counts = True
        self.stays.append(Stay(self.record.provider, self.record.model, self.route, month, not self.succeeded))
        if self.nano is not None:
            self.stays[-1].priced = month
            self._post(month, self.nano)

    def leave(self, closed_through: int | None) -> int:
        """Take its cost back; it no longer counts. Return the month in which that is billed."""
        month = billed_in(self.origin, closed_through)
        self._post(month, -(self.nano or 0))
        self.stays[-1].left = month
        self.counts = False
        return month

    def reprice(self, nano: int, closed_through: int | None) -> None:
        """Replace its cost."""
        month = billed_in(self.origin, closed_through)
        self._post(month, nano - (self.nano or 0))
        self.nano, self.is_reported = nano, False
        self.stays[-1].priced = self.stays[-1].priced or month

    def _post(self, month: int, nano: int) -> None:
        self.billed.append((month, self.route, nano))


def route_of(record: Record, default_route: str) -> str:
    """Return a request's billing route."""
    if record.route:
        return record.route
    return "serverless" if record.provider == "hf-inference" else default_route or "unknown"


def billed_in(origin: int, closed_through: int | None) -> int:
    """Return the month in which a charge of ``origin`` is billed now."""
    return origin if closed_through is None or origin > closed_through else following(closed_through)


def set_cost(event: CountedRequest, prices: Sequence[Price]) -> None:
    """Work out what a request costs at these prices, or by its provider's report."""
    event.nano, event.is_reported = 0, False
    if event.succeeded:
        event.nano = cost_of(event.record, prices)
        if event.nano is None and event.record.reported_nano is not None:
            event.nano, event.is_reported = event.record.reported_nano, True


def charge_unpriced(event: CountedRequest, prices: Sequence[Price], closed_through: int | None) -> None:
    """Charge an unpriced request if it has a price now."""
    cost = cost_of(event.record, prices)
    if event.is_unpriced and cost is not None:
        event.reprice(cost, closed_through)


def re_rate(event: CountedRequest, prices: Sequence[Price], closed_through: int | None, *, include_reported: bool) -> None:
    """Replace a request's charge with one at the current prices; without a price it keeps its charge."""
    if not event.counts or event.nano is None or not event.succeeded or (event.is_reported and not include_reported):
        return
    cost = cost_of(event.record, prices)
    if cost is not None:
        event.reprice(cost, closed_through)


def move(event: CountedRequest, changes: dict[str, str], prices: Sequence[Price], closed_through: int | None) -> None:
    """Give a request another provider, model or route, and the cost that it has there."""
    month = event.leave(closed_through)
    event.route = changes.get("route", event.route)
    event.record = replace(event.record, **{name: value for name, value in changes.items() if name != "route"})
    if event.succeeded:
        set_cost(event, prices)
    event.enter(month)


def cost_of(record: Record, prices: Sequence[Price]) -> int | None:
    """Return a request's cost in nano-USD, None if unknown."""
    price = _price_of(record, prices)
    if price is None or price.prices is None or record.grade == UNSTATED:
        return None
    listed = dict(price.prices)
    pico = Fraction(0)
    for kind, count in record.quantities:
        # The router publishes no cache prices: cached tokens cost the input price unless a price says otherwise.
        amount = listed.get(kind) or (listed.get("input_tokens") if kind == "cache_read_tokens" else None)
        if count and amount is None:
            return None
        if amount is not None:
            pico += Fraction(count * amount[0], amount[1])
    return ceil(pico / 1_000)


def _price_of(record: Record, prices: Sequence[Price]) -> Price | None:
    for account in (record.account, None):
        found = [
            (price.since, order, price)
            for order, price in enumerate(prices)
            if (price.account, price.provider, price.model) == (account, record.provider, record.model)
            and price.since <= record.time
        ]
        if found:
            return max(found, key=lambda one: one[:2])[2]
    return None
