"""Which requests would make an explanation of a sum true, and what each of them adds to it.

At the grain of days, models, providers or totals no line names a request. The explanation decides which metered requests it
is about: the failed ones, those of one model, those that a shifted period includes.
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
from metering.domain.reconciliation.request_hypotheses import QUANTITY_HYPOTHESES, RecordedRates, other_rates, priced
from metering.domain.reconciliation.requests import Billability, MeteredRequest
from pricing.rates import Rate

_BILLABILITY = {
    Cause.OTHER_ROUTE_BILLED: Billability.OTHER_ROUTE,
    Cause.FAILED_BILLED: Billability.FAILED,
    Cause.UNPRICED_HERE: Billability.UNPRICED,
    Cause.UNKNOWN_ROUTE: Billability.UNKNOWN_ROUTE,
}
_SIGN = {Cause.MISSING_THERE: -1, Cause.DUPLICATE_THERE: 1, Cause.OTHER_ROUTE_BILLED: 1}
_NAMING_REQUESTS = frozenset({*_BILLABILITY, *_SIGN, Cause.QUANTITY, Cause.PRICE, Cause.MARKUP, Cause.PERIOD_EDGE})
_NEEDING_QUANTITIES = frozenset({Cause.QUANTITY, Cause.PRICE, Cause.FAILED_BILLED})


class RequestContribution(NamedTuple):
    """What a request adds to an explanation, in nano-USD; None if that is unknown."""

    amount_nano: int | None


class ExplanationContext(Struct, frozen=True):
    """What explanations are evaluated with: the coverage, every recorded rate, and the rate each model is charged at."""

    coverage: Coverage
    recorded: RecordedRates
    charged: Mapping[tuple[str, str], Rate]


def names_requests(part: CausePart) -> bool:
    """Return whether an explanation determines which requests it is about."""
    if part.cause is Cause.QUANTITY:
        return part.detail in QUANTITY_HYPOTHESES
    return part.cause in _NAMING_REQUESTS


def needs_quantities(part: CausePart) -> bool:
    """Return whether what a request adds depends on its quantities."""
    return part.cause in _NEEDING_QUANTITIES


def contribution_of(part: CausePart, request: MeteredRequest, context: ExplanationContext) -> RequestContribution | None:
    """Return what a request adds to an explanation; None if the explanation is not about it."""
    if part.cause is Cause.PERIOD_EDGE:
        return _shifted(part, request, context.coverage)
    is_inside = context.coverage.start <= request.time < context.coverage.end
    if request.billability != _BILLABILITY.get(part.cause, Billability.BILLED) or not is_inside:
        return None
    if part.cause in _SIGN:
        return RequestContribution(_SIGN[part.cause] * request.amount_nano) if _is_in_cut(part.detail, request) else None
    if part.cause is Cause.FAILED_BILLED:
        return RequestContribution(_price_of_failed(request, context))
    if part.cause is Cause.MARKUP:
        factor = read_factor(part.detail)
        return None if factor is None else _unless_zero(factor.of(request.amount_nano))
    if part.cause in (Cause.QUANTITY, Cause.PRICE):
        amount = _repriced(part, request, context.recorded)
        return None if amount is None else _unless_zero(amount - request.amount_nano)
    return RequestContribution(None)


def _unless_zero(amount_nano: int) -> RequestContribution | None:
    return RequestContribution(amount_nano) if amount_nano else None


def _repriced(part: CausePart, request: MeteredRequest, recorded: RecordedRates) -> int | None:
    if part.cause is Cause.QUANTITY:
        return priced(QUANTITY_HYPOTHESES[part.detail](request.quantities), request.rate)
    rates = other_rates(recorded, request.provider, request.model, request.rate)
    return next((priced(request.quantities, rate) for rate in rates if part.detail == f"rate {rate.id}"), None)


def _shifted(part: CausePart, request: MeteredRequest, coverage: Coverage) -> RequestContribution | None:
    shift = read_shift(part.detail)
    if shift is None or request.billability != Billability.BILLED:
        return None
    if not coverage.start <= request.time < coverage.end:
        is_shifted_in = coverage.start + shift <= request.time < coverage.end + shift
        return _unless_zero(request.amount_nano) if is_shifted_in else None
    is_out = is_shifted_out(PeriodEdges(coverage.start, coverage.end), request.time, shift)
    return _unless_zero(-request.amount_nano) if is_out else None


def _price_of_failed(request: MeteredRequest, context: ExplanationContext) -> int | None:
    """Return what a failed request would have cost; None if several prices are possible."""
    charged = context.charged.get((request.provider, request.model))
    recorded = context.recorded.get((request.provider, request.model.casefold()), ())
    rates = list(recorded) if charged is None else [charged]
    return priced(request.quantities, rates[0]) if len(rates) == 1 else None


def _is_in_cut(detail: str, request: MeteredRequest) -> bool:
    """Return whether a request is in the part of a group that a detail names: all of it, a provider, a model, a day."""
    dimension, _, value = detail.partition(" ")
    values = {
        "provider": request.provider,
        "model": f"{request.provider}/{request.model}",
        "day": str(request.time // MICROS_PER_DAY),
    }
    return dimension not in values or values[dimension] == value
