"""Which requests would make an explanation of a sum true, and what each of them adds to it.

An explanation by day, model, provider or total is about requests that no line names. What it says decides which of ours it is
about: the failed ones, those of one model, those that a shifted period takes in.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from metering.domain.instants import MICROS_PER_DAY
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import CausePart
from metering.domain.reconciliation.invoices import Coverage
from metering.domain.reconciliation.markups import read_factor
from metering.domain.reconciliation.period_shift import PeriodEdges, is_shifted_out, read_shift
from metering.domain.reconciliation.request_hypotheses import QUANTITY_HYPOTHESES, Versions, priced, versions_of
from metering.domain.reconciliation.requests import Billability, MeteredRequest
from pricing.rates import Rate

_STANDING = {
    Cause.OTHER_ROUTE_BILLED: Billability.OTHER_ROUTE,
    Cause.FAILED_BILLED: Billability.FAILED,
    Cause.UNPRICED_HERE: Billability.UNPRICED,
    Cause.UNKNOWN_ROUTE: Billability.UNKNOWN_ROUTE,
}
_SIGN = {Cause.MISSING_THERE: -1, Cause.DUPLICATE_THERE: 1, Cause.OTHER_ROUTE_BILLED: 1}
_OF_SUMS = frozenset({*_STANDING, *_SIGN, Cause.QUANTITY, Cause.PRICE, Cause.MARKUP, Cause.PERIOD_EDGE})
_OF_QUANTITIES = frozenset({Cause.QUANTITY, Cause.PRICE, Cause.FAILED_BILLED})


class RequestContribution(NamedTuple):
    """What a request adds to an explanation, nano-USD; None where nobody knows."""

    amount_nano: int | None


class ExplanationContext(Struct, frozen=True):
    """What explanations are read with: the period, every recorded rate, and at which rate each model is charged here."""

    coverage: Coverage
    versions: Versions
    charged: Mapping[tuple[str, str], Rate]


def names_requests(part: CausePart) -> bool:
    """Whether an explanation says which requests it is about."""
    if part.cause is Cause.QUANTITY:
        return part.detail in QUANTITY_HYPOTHESES
    return part.cause in _OF_SUMS


def needs_quantities(part: CausePart) -> bool:
    """Whether what a request adds depends on what it used."""
    return part.cause in _OF_QUANTITIES


def contribution_of(part: CausePart, request: MeteredRequest, background: ExplanationContext) -> RequestContribution | None:
    """Return what a request adds to an explanation; None where the explanation is not about it."""
    coverage = background.coverage
    if part.cause is Cause.PERIOD_EDGE:
        return _moved(part, request, coverage)
    if request.standing != _STANDING.get(part.cause, Billability.BILLED) or not coverage.start <= request.time < coverage.end:
        return None
    if part.cause in _SIGN:
        return RequestContribution(_SIGN[part.cause] * request.amount_nano) if _is_in_cut(part.detail, request) else None
    if part.cause is Cause.FAILED_BILLED:
        return RequestContribution(_price_of_failed(request, background))
    if part.cause is Cause.MARKUP:
        factor = read_factor(part.detail)
        return None if factor is None else _if_any(factor.of(request.amount_nano))
    if part.cause in (Cause.QUANTITY, Cause.PRICE):
        amount = _repriced(part, request, background.versions)
        return None if amount is None else _if_any(amount - request.amount_nano)
    return RequestContribution(None)


def _if_any(amount_nano: int) -> RequestContribution | None:
    return RequestContribution(amount_nano) if amount_nano else None


def _repriced(part: CausePart, request: MeteredRequest, versions: Versions) -> int | None:
    if part.cause is Cause.QUANTITY:
        return priced(QUANTITY_HYPOTHESES[part.detail](request.quantities), request.rate)
    others = versions_of(versions, request.provider, request.model, request.rate)
    return next((priced(request.quantities, each) for each in others if part.detail == f"rate {each.id}"), None)


def _moved(part: CausePart, request: MeteredRequest, coverage: Coverage) -> RequestContribution | None:
    shift = read_shift(part.detail)
    if shift is None or request.standing != Billability.BILLED:
        return None
    inside = coverage.start <= request.time < coverage.end
    if inside:
        is_moved = is_shifted_out(PeriodEdges(coverage.start, coverage.end), request.time, shift)
    else:
        is_moved = coverage.start + shift <= request.time < coverage.end + shift
    return _if_any(-request.amount_nano if inside else request.amount_nano) if is_moved else None


def _price_of_failed(request: MeteredRequest, background: ExplanationContext) -> int | None:
    """Return what a failed request would have cost; None where several prices might be meant."""
    name = request.provider, request.model
    charged = background.charged.get(name)
    known = [charged] if charged is not None else list(background.versions.get((name[0], name[1].casefold()), ()))
    return priced(request.quantities, known[0]) if len(known) == 1 else None


def _is_in_cut(detail: str, request: MeteredRequest) -> bool:
    """Whether a request is in the part of a group that a detail names: all of it, a provider, a model, a day."""
    kind, _, value = detail.partition(" ")
    told = {
        "provider": request.provider,
        "model": f"{request.provider}/{request.model}",
        "day": str(request.time // MICROS_PER_DAY),
    }
    return kind not in told or told[kind] == value
