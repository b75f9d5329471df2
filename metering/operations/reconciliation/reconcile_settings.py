"""How much a bill may differ from our figure before somebody has to look, by the kind of document; where bills come from."""

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
    """``tolerances`` by format; the one under ``""`` is for all others. ``billing_url`` is where Hugging Face is asked, for the
    bill of ``fetch_account`` every ``fetch_hours``; empty: never by itself.
    """

    tolerances: dict[str, Tolerance] = field(default_factory=lambda: {"": Tolerance()})
    billing_url: str = DEFAULT_BILLING_URL
    fetch_account: str = ""
    fetch_hours: int = 24

    def tolerance_of(self, format_: str) -> Tolerance:
        """Return the tolerance for a kind of document."""
        return self.tolerances.get(format_, self.tolerances[""])


def read_tolerances(text: str) -> dict[str, Tolerance]:
    """Read ``0.01/0.1%,csv=0.05``: dollars, and a share of the bill where that is more. Raises DomainError."""
    found = {"": Tolerance()}
    for part in filter(None, (each.strip() for each in text.split(","))):
        read = _TOLERANCE.fullmatch(part)
        name = "" if read is None else read["format"] or ""
        if read is None or (name and name not in FORMATS):
            raise DomainError(f"a tolerance is written as 0.01, 0.01/0.1% or csv=0.01, got {part[:40]!r}")
        try:
            nano = parse_usd(read["usd"], unit_per_usd=NANO_PER_USD)
            ppm = parse_usd(read["percent"] or "0", unit_per_usd=_PPM_PER_PERCENT)
        except InvalidAmountError as error:
            raise DomainError(f"{part[:40]!r}: {error}") from None
        found[name] = Tolerance(nano, ppm)
    return found
