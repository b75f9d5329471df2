"""Settings of reconciliation: how much an invoice may differ, by format, and where invoices are fetched from."""

import re

from msgspec import Struct, field

from metering.domain.errors import DomainError
from metering.domain.reconciliation.variances import Tolerance
from metering.invoices import FORMATS
from pricing.errors import InvalidAmountError
from pricing.money import NANO_PER_USD, parse_usd

DEFAULT_TOLERANCE = "0.01"
DEFAULT_BILLING_URL = "https://huggingface.co/api"
_PPM_PER_PERCENT = 10_000
_TOLERANCE = re.compile(r"(?:(?P<format>[a-z-]+)=)?\$?(?P<usd>[0-9.]+)(?:/(?P<percent>[0-9]+(?:\.[0-9]{1,4})?)%)?")


class ReconcileSettings(Struct, frozen=True):
    """``tolerances`` by format, under ``""`` for all others. ``billing_url`` is Hugging Face's API.

    The invoice of ``fetch_account`` is fetched every ``fetch_hours``; empty: no invoice is fetched automatically.
    """

    tolerances: dict[str, Tolerance] = field(default_factory=lambda: {"": Tolerance()})
    billing_url: str = DEFAULT_BILLING_URL
    fetch_account: str = ""
    fetch_hours: int = 24

    def tolerance_of(self, format_: str) -> Tolerance:
        """Return the tolerance for a format."""
        return self.tolerances.get(format_, self.tolerances[""])


DEFAULT_SETTINGS = ReconcileSettings()


def read_tolerances(text: str) -> dict[str, Tolerance]:
    """Read ``0.01/0.1%,csv=0.05``: dollars, or a share of the billed amount if that is more. Raises DomainError."""
    tolerances = {"": Tolerance()}
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = _TOLERANCE.fullmatch(part)
        name = "" if match is None else match["format"] or ""
        if match is None or (name and name not in FORMATS):
            raise DomainError(
                f"a tolerance is 0.01, 0.01/0.1% or csv=0.01, where csv is one of {', '.join(FORMATS)}; got {part[:40]!r}"
            )
        try:
            nano = parse_usd(match["usd"], unit_per_usd=NANO_PER_USD)
            ppm = parse_usd(match["percent"] or "0", unit_per_usd=_PPM_PER_PERCENT)
        except InvalidAmountError as error:
            raise DomainError(f"{part[:40]!r}: {error}") from None
        tolerances[name] = Tolerance(nano, ppm)
    return tolerances
