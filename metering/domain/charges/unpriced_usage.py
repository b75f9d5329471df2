"""Usage that is not priced yet, grouped by the reason."""

from msgspec import Struct

from pricing.possible import PossibleCost

REMEDIES = {
    "no provider": "metering usage correct --account NAME --where provider=unknown --provider PROVIDER --reason TEXT --apply",
    "no route": "metering accounts set-route NAME ROUTE --apply-to-stored",
    "no rate": "metering prices import SHEET",
    "quantities unstated": "metering ingest LOG, of a log that states the quantities",
    "not rated yet": "metering rate",
}
"""What gives unpriced usage its charge, by the reason."""


class UnpricedUsage(Struct):
    """Unpriced events of one provider, model and route for one reason. Times are microseconds UTC.

    ``why`` is ``no provider``, ``no route``, ``no rate``, ``quantities unstated``, ``price missing for <kinds>``,
    ``charge too large``, or ``not rated yet`` where a price is known now and rating has not run since. ``possible`` is what
    events without a provider or a route may have cost, by the prices of the model's partners.
    """

    provider: str
    model: str
    route: str
    why: str
    events: int
    tokens: int
    first_time: int
    last_time: int
    possible: PossibleCost | None = None

    @property
    def remedy(self) -> str:
        """What would give this usage its charge, as a command."""
        if self.why.startswith("price missing"):
            return REMEDIES["no rate"]
        return REMEDIES.get(self.why, "")
