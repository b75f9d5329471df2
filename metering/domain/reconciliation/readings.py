"""A pasted total says nothing about what it adds up. It can be the whole statement of the month, or the usage alone.

The whole statement is usage, fees, credits, adjustments and what is carried from the month before. Which of the two a total is
about, a person decides; until then the total is compared with both.
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.reconciliation.causes import Cause
from pricing.dollars import display_nano

HALF_CENT_NANO = 5_000_000


class TotalReading(StrEnum):
    """What a total adds up."""

    STATEMENT = "statement"
    USAGE = "usage"


class ReadingRequiredError(DomainError):
    """A correction by a total that can be read in two ways: by how much depends on the reading."""

    code = "reading_required"


class ReadTotal(NamedTuple):
    """A total under one reading: our amount, and theirs less ours, in nano-USD."""

    reading: TotalReading
    ours_nano: int
    difference_nano: int


class StatementPart(NamedTuple):
    """What a statement has in addition to the month's usage."""

    cause: Cause
    detail: str
    amount_nano: int


class OurStatement(Struct, frozen=True, kw_only=True):
    """Our statement of a month, with what later statements correct about it. Amounts are nano-USD.

    ``total_nano`` is what it shows as payable. The other amounts are exact, and without the corrections that were made because
    of the invoice itself: they add up to what it was compared with.
    """

    total_nano: int
    usage_nano: int
    fees_nano: int
    credits_nano: int
    adjustments_nano: int
    carried_nano: int

    @property
    def exact_nano(self) -> int:
        """The payable amount before it is rounded to cents, without corrections because of the invoice."""
        return self.usage_nano + self.fees_nano - self.credits_nano + self.adjustments_nano + self.carried_nano

    @property
    def residual_nano(self) -> int:
        """What rounding to cents adds; 0 for a negative amount, which is carried forward."""
        if self.exact_nano < 0:
            return 0
        return (self.exact_nano + HALF_CENT_NANO) // (2 * HALF_CENT_NANO) * 2 * HALF_CENT_NANO - self.exact_nano

    def parts(self, usage_nano: int, *, with_rounding: bool = False) -> tuple[StatementPart, ...]:
        """Return what it has in addition to the usage of the month's own days."""
        parts = (
            StatementPart(Cause.CREDITS, "", -self.credits_nano),
            StatementPart(Cause.FEE, "", self.fees_nano),
            StatementPart(Cause.ADJUSTMENT, "", self.adjustments_nano),
            StatementPart(Cause.ADJUSTMENT, "carried_forward", self.carried_nano),
            StatementPart(Cause.ADJUSTMENT, "usage_of_other_months", self.usage_nano - usage_nano),
            StatementPart(Cause.ADJUSTMENT, "rounding_to_cents", self.residual_nano if with_rounding else 0),
        )
        return tuple(part for part in parts if part.amount_nano)


def readings_of(theirs_nano: int, *, statement_nano: int | None, usage_nano: int) -> tuple[ReadTotal, ...]:
    """Return a total under both readings, the whole statement first; none if it cannot be a statement."""
    if statement_nano is None:
        return ()
    ours = {TotalReading.STATEMENT: statement_nano, TotalReading.USAGE: usage_nano}
    return tuple(ReadTotal(reading, nano, theirs_nano - nano) for reading, nano in ours.items())


def describe_reading(read: ReadTotal) -> str:
    """Describe a reading: ``the whole statement: ours is 33.74 USD, theirs 0.26 USD more``."""
    what = "the whole statement" if read.reading is TotalReading.STATEMENT else "usage alone"
    if not read.difference_nano:
        return f"{what}: it agrees with ours, {display_nano(read.ours_nano)} USD"
    size, side = display_nano(abs(read.difference_nano)), "more" if read.difference_nano > 0 else "less"
    return f"{what}: ours is {display_nano(read.ours_nano)} USD, theirs {size} USD {side}"
