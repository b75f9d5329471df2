"""What a group of usage would be billed if something were true: each hypothesis is a small function from a group to candidates.

Sums of charges are exact. What another quantity or price would come to is only known to the rounding of each request, so such
candidates carry ``slack_nano``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from math import isqrt
from typing import NamedTuple, TypeVar

from metering.domain.instants import MICROS_PER_HOUR
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import Candidate, CausePart
from metering.domain.reconciliation.invoices import Coverage
from metering.domain.reconciliation.period_shift import LONGEST_SHIFT_MICROS, format_shift
from metering.domain.reconciliation.request_hypotheses import QUANTITY_HYPOTHESES, Versions, versions_of
from metering.domain.reconciliation.requests import Billability
from metering.domain.reconciliation.usage_groups import MeteredUsage, UsageGroup
from pricing.quantities import PRICED_KINDS, Quantities
from pricing.rates import Rate

K = TypeVar("K")


class GroupHypothesis(NamedTuple):
    """A candidate for a group. ``requests``: how many more requests it would bill; ``narrow``: about a part of the group only,
    and one of many such, so that it is never tried together with another.
    """

    candidate: Candidate
    requests: int = 0
    slack_nano: int = 0
    narrow: bool = False


def exactly(cause: Cause, detail: str, amount_nano: int) -> Candidate:
    """Return a candidate whose amount is a sum of charges, or a price that is known: no rounding is in it."""
    return Candidate((CausePart(cause, detail),), (amount_nano,), rough=None)


def rounding_slack(requests: int) -> int:
    """Return how far a sum of charges, each rounded up, may be from the same sum at another price: six deviations."""
    return min(requests, 6 * isqrt(requests) + 2)


def exact_nano(quantities: Quantities, requests: int, rate: Rate) -> Fraction | None:
    """Return what quantities of so many requests come to at a rate, not rounded; None where a kind has no price."""
    amounts = [getattr(quantities, kind) for kind in PRICED_KINDS]
    if any(amounts[len(rate.vector) :]) or any(amounts[at] for at in rate.gaps):
        return None
    total = rate.per_request * requests + sum(amount * price for amount, price in zip(amounts, rate.vector, strict=False))
    return Fraction(total, rate.denominator)


def other_quantities(group: UsageGroup, versions: Versions, coverage: Coverage) -> Iterator[GroupHypothesis]:  # noqa: ARG001
    """Cached or reasoning tokens counted in another way, everywhere in the group."""
    for name, hypothesis in QUANTITY_HYPOTHESES.items():
        delta, touched = Fraction(0), 0
        for usage in group.billed:
            supposed = hypothesis(usage.quantities)
            if usage.rate is None or supposed == usage.quantities:
                continue
            before, after = (exact_nano(each, usage.requests, usage.rate) for each in (usage.quantities, supposed))
            if before is not None and after is not None:
                delta += after - before
                touched += usage.requests
        yield GroupHypothesis(
            Candidate((CausePart(Cause.QUANTITY, name),), (round(delta),)), slack_nano=rounding_slack(touched)
        )


def other_prices(group: UsageGroup, versions: Versions, coverage: Coverage) -> Iterator[GroupHypothesis]:  # noqa: ARG001
    """All usage of one model charged at another recorded price."""
    for (provider, model), usages in _by(group.billed, lambda each: (each.provider, each.model)).items():
        for rate in versions_of(versions, provider, model, next((each.rate for each in usages if each.rate), None)):
            amounts = [exact_nano(each.quantities, each.requests, rate) for each in usages]
            if any(amount is None for amount in amounts):
                continue
            delta = round(sum(filter(None, amounts), Fraction(0))) - sum(each.amount_nano for each in usages)
            slack = rounding_slack(sum(each.requests for each in usages))
            if abs(delta) > slack:
                yield GroupHypothesis(Candidate((CausePart(Cause.PRICE, f"rate {rate.id}"),), (delta,)), slack_nano=slack)


def other_routes(group: UsageGroup, versions: Versions, coverage: Coverage) -> Iterator[GroupHypothesis]:  # noqa: ARG001
    """Usage that another party bills, billed here as well: all of it, or that of one model."""
    usages = [each for each in group.ours if each.standing == Billability.OTHER_ROUTE]
    yield from _parts(Cause.OTHER_ROUTE_BILLED, usages, 1, whole=True)


def failures(group: UsageGroup, versions: Versions, coverage: Coverage) -> Iterator[GroupHypothesis]:  # noqa: ARG001
    """Failed requests billed: at the price of those that did not fail, else at each price that is recorded."""
    failed = [each for each in group.ours if each.standing == Billability.FAILED]
    charged = {(each.provider, each.model): [each.rate] for each in group.billed if each.rate is not None}
    rates = {
        (each.provider, each.model): charged.get((each.provider, each.model))
        or list(versions.get((each.provider, each.model.casefold()), ()))
        for each in failed
    }
    for version in range(max(map(len, rates.values()), default=0)):
        amount, requests = Fraction(0), 0
        for usage in failed:
            known = rates[usage.provider, usage.model]
            exact = exact_nano(usage.quantities, usage.requests, known[min(version, len(known) - 1)]) if known else None
            amount += exact or 0
            requests += usage.requests if exact else 0
        candidate = Candidate((CausePart(Cause.FAILED_BILLED),), (-(-amount.numerator // amount.denominator),))
        yield GroupHypothesis(candidate, requests, rounding_slack(requests))


def left_out(group: UsageGroup, versions: Versions, coverage: Coverage) -> Iterator[GroupHypothesis]:  # noqa: ARG001
    """A provider, a model or a day that is not on their bill."""
    yield from _parts(Cause.MISSING_THERE, group.billed, -1, whole=False)


def billed_twice(group: UsageGroup, versions: Versions, coverage: Coverage) -> Iterator[GroupHypothesis]:  # noqa: ARG001
    """Everything, a provider, a model or a day billed twice."""
    yield from _parts(Cause.DUPLICATE_THERE, group.billed, 1, whole=True)


def other_hours(group: UsageGroup, versions: Versions, coverage: Coverage) -> Iterator[GroupHypothesis]:  # noqa: ARG001
    """A period that begins and ends some hours earlier or later."""
    start, end = coverage.start // MICROS_PER_HOUR, coverage.end // MICROS_PER_HOUR
    for hours in range(1, LONGEST_SHIFT_MICROS // MICROS_PER_HOUR + 1):
        for shift in (hours, -hours):
            amount = requests = 0
            for edge in group.edges:
                inside, shifted = start <= edge.hour < end, start + shift <= edge.hour < end + shift
                amount += (shifted - inside) * edge.amount_nano
                requests += (shifted - inside) * edge.requests
            detail = format_shift(shift * MICROS_PER_HOUR)
            yield GroupHypothesis(exactly(Cause.PERIOD_EDGE, detail, amount), requests)


Hypothesis = Callable[[UsageGroup, Versions, Coverage], Iterable[GroupHypothesis]]

HYPOTHESES: tuple[Hypothesis, ...] = (
    other_quantities, other_prices, other_routes, failures, left_out, billed_twice, other_hours,
)  # fmt: skip


def _parts(cause: Cause, usages: Sequence[MeteredUsage], sign: int, *, whole: bool) -> Iterator[GroupHypothesis]:
    """Yield all usages and each of their parts: a provider, a model, a day. The same part under two names is said once."""
    seen = {(0, 0)}
    cuts: tuple[tuple[str, Callable[[MeteredUsage], str], bool], ...] = (
        ("", lambda _: "", False),
        ("provider ", lambda each: each.provider, False),
        ("model ", lambda each: f"{each.provider}/{each.model}", False),
        ("day ", lambda each: str(each.day), True),
    )
    everything = (sum(each.amount_nano for each in usages), sum(each.requests for each in usages))
    if not whole:
        seen.add(everything)
    for name, cut, narrow in cuts:
        for value, part in sorted(_by(usages, cut).items()):
            sums = (sum(each.amount_nano for each in part), sum(each.requests for each in part))
            if sums not in seen:
                seen.add(sums)
                candidate = exactly(cause, f"{name}{value}", sign * sums[0])
                yield GroupHypothesis(
                    candidate, sign * sums[1], narrow=narrow or (cause is Cause.DUPLICATE_THERE and bool(value))
                )


def _by(usages: Iterable[MeteredUsage], cut: Callable[[MeteredUsage], K]) -> dict[K, list[MeteredUsage]]:
    parts: dict[K, list[MeteredUsage]] = {}
    for usage in usages:
        parts.setdefault(cut(usage), []).append(usage)
    return parts
