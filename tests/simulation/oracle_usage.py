"""What requests cost and where they are billed. Written from the rules, not from the service.

The price of a request is the account's own if there is one, else the operator's: the one effective latest but not after the
request, of equals the one recorded last. The cost is exact and rounded up to a nano-dollar once. Unknown stays unknown. An
amount is billed in the request's month, or in the first open one if that is closed.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from msgspec import Struct, field

from simulation.oracle_plans import following, month_of
from simulation.scenario import Price, Record


class CountedRequest(Struct):
    """A request that counts. ``nano`` is its cost, None if unpriced; ``billed`` is everything posted: (month, nano)."""

    record: Record
    route: str
    first_billed: int
    nano: int | None = None
    is_reported: bool = False
    billed: list[tuple[int, int]] = field(default_factory=list)

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
        """Whether it has no price yet."""
        return self.nano is None


def route_of(record: Record, default_route: str) -> str:
    """Return a request's billing route."""
    if record.route:
        return record.route
    return "serverless" if record.provider == "hf-inference" else default_route or "unknown"


def billed_in(origin: int, closed_through: int | None) -> int:
    """Return the month in which a charge of ``origin`` is billed now."""
    return origin if closed_through is None or origin > closed_through else following(closed_through)


def first_charge(event: CountedRequest, prices: Sequence[Price]) -> None:
    """Charge a request when it is stored."""
    if not event.succeeded:
        event.nano = 0
        return
    cost = cost_of(event.record, prices)
    if cost is None and event.record.reported_nano is not None:
        cost, event.is_reported = event.record.reported_nano, True
    if cost is not None:
        event.nano = cost
        event.billed.append((event.first_billed, cost))


def charge_unpriced(event: CountedRequest, prices: Sequence[Price], closed_through: int | None) -> None:
    """Charge an unpriced request if it has a price now."""
    cost = cost_of(event.record, prices)
    if event.is_unpriced and cost is not None:
        event.nano = cost
        event.billed.append((billed_in(event.origin, closed_through), cost))


def re_rate(event: CountedRequest, prices: Sequence[Price], closed_through: int | None, *, include_reported: bool) -> None:
    """Replace a request's charge with one at the current prices; without a price it keeps its charge."""
    if event.is_unpriced or not event.succeeded or (event.is_reported and not include_reported):
        return
    cost = cost_of(event.record, prices)
    if cost is not None:
        event.billed.append((billed_in(event.origin, closed_through), cost - (event.nano or 0)))
        event.nano, event.is_reported = cost, False


def cost_of(record: Record, prices: Sequence[Price]) -> int | None:
    """Return a request's cost in nano-USD, None if unknown."""
    price = _price_of(record, prices)
    if price is None or price.prices is None:
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
