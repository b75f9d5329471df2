"""Compare two records of one request: does the later one repeat what is known, complete it, or contradict it?

A gap is what a record did not state: an unknown provider, model or route, no status, unstated quantities. A record that fills
gaps and contradicts nothing completes the event, in whichever order the two arrive. Measured quantities replace estimated ones,
and within one grade a kind that was zero can be filled. Everything else that differs is a contradiction. So is a different time
where nothing else differs from a single record: that is a second request under one ID.
"""

from collections.abc import Collection
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

from metering.domain.usage.events import UNKNOWN, QuantityGrade
from pricing.quantities import Quantities

# The start that two records of one request state may differ by this much: one logger states the start, another the end.
MAX_APART_MICROS = 3_600_000_000

# The operation of records that state none.
_DEFAULT_OPERATION = "chat"
_Value = TypeVar("_Value")


class RequestFacts(Struct, frozen=True):
    """What decides a request's charge. ``route`` is as stated; empty if it followed from the provider or the account."""

    time: int
    provider: str
    model: str
    operation: str
    route: str
    status: int | None
    failure: str
    quantities: Quantities
    quantity_grade: int


class ContradictionError(Exception):
    """Two records of one request cannot both be right."""


def completed(known: RequestFacts, new: RequestFacts, *, of_several: bool = False) -> RequestFacts:
    """Return what is known after the new record; equal to ``known`` if it adds nothing. The first record's time stays.

    ``of_several``: what is known comes from several records, whose times may differ.
    Raises ContradictionError.
    """
    if abs(new.time - known.time) > MAX_APART_MICROS:
        raise ContradictionError
    if not of_several and new.time != known.time and replace(new, time=known.time) == known:
        raise ContradictionError
    quantities, grade = _quantities(known, new)
    is_placeholder = QuantityGrade.UNSTATED in (known.quantity_grade, new.quantity_grade)
    return RequestFacts(
        time=known.time,
        provider=_filled(known.provider, new.provider, ("", UNKNOWN)),
        model=_filled(known.model, new.model, ("", UNKNOWN)),
        operation=_filled(known.operation, new.operation, ("", _DEFAULT_OPERATION) if is_placeholder else ("",)),
        route=_filled(known.route, new.route, ("", UNKNOWN)),
        status=_filled(known.status, new.status, (None,)),
        failure=_filled(known.failure, new.failure, ("",)),
        quantities=quantities,
        quantity_grade=grade,
    )


def _filled(known: _Value, new: _Value, gaps: Collection[_Value]) -> _Value:
    """Return the value that is not a gap, or the known one. Raises ContradictionError if both are stated and differ."""
    if new == known or new in gaps:
        return known
    if known in gaps:
        return new
    raise ContradictionError


# From the best known to the least.
_GRADES = (QuantityGrade.MEASURED, QuantityGrade.ESTIMATED, QuantityGrade.UNSTATED)


def _quantities(known: RequestFacts, new: RequestFacts) -> tuple[Quantities, int]:
    """Return the better known quantities and their grade; of equally known ones, each kind that either states."""
    if known.quantity_grade != new.quantity_grade:
        better = min(known, new, key=lambda facts: _GRADES.index(QuantityGrade(facts.quantity_grade)))
        return better.quantities, better.quantity_grade
    if new.quantities == known.quantities:
        return known.quantities, known.quantity_grade
    stated = asdict(new.quantities)
    filled = {kind: _filled(amount, stated[kind], (0,)) for kind, amount in asdict(known.quantities).items()}
    return replace(known.quantities, **filled), known.quantity_grade
