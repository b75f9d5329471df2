"""Usage that is not priced yet, grouped by the reason."""

from msgspec import Struct


class UnpricedUsage(Struct):
    """Unpriced events of one provider, model and route for one reason. Times are microseconds UTC.

    ``why`` is ``no provider``, ``no route``, ``no rate``, ``quantities unstated``, ``price missing for <kinds>``,
    ``charge too large``, or ``not rated yet`` where a price is known now and rating has not run since.
    """

    provider: str
    model: str
    route: str
    why: str
    events: int
    tokens: int
    first_time: int
    last_time: int
