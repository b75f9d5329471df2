"""What a usage group would be billed under a hypothesis: each one is a small function from a group to candidates.

Sums of charges are exact. The cost of other quantities or prices is known only to the rounding of each request, so those
candidates carry a slack.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import astuple

from metering.domain.instants import MICROS_PER_HOUR
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import Candidate, CausePart
from metering.domain.reconciliation.invoices import Coverage
from metering.domain.reconciliation.period_shift import MAX_SHIFT_MICROS, format_shift
from metering.domain.reconciliation.request_hypotheses import QUANTITY_HYPOTHESES, RecordedRates, other_rates
from metering.domain.reconciliation.requests import Billability
from metering.domain.reconciliation.rounding import charge_slack
from metering.domain.reconciliation.usage_groups import MeteredUsage, UsageGroup
from pricing.quantities import Quantities
from pricing.rates import Rate

K = TypeVar("K")


class GroupContext(Struct, frozen=True):
    """What hypotheses about a group are made from."""

    group: UsageGroup
    recorded: RecordedRates
    coverage: Coverage


class GroupHypothesis(NamedTuple):
    """A candidate for a group. ``requests``: how many more requests it would bill.

    ``narrow``: it is about a part of the group and one of many such, so it is never combined with another.
    """

    candidate: Candidate
    requests: int = 0
    slack_nano: int = 0
    narrow: bool = False


def exactly(cause: Cause, detail: str, amount_nano: int) -> Candidate:
    """Return a candidate that no rounding affects: a sum of charges, or a known price."""
    return Candidate((CausePart(cause, detail),), (amount_nano,), rough=None)


def exact_nano(quantities: Quantities, requests: int, rate: Rate) -> Fraction | None:
    """Return what the quantities of so many requests cost at a rate, not rounded; None if a kind has no price."""
    amounts = astuple(quantities)
    if any(rate.without_price(amounts)):
        return None
    total = rate.per_request * requests + sum(amount * price for amount, price in zip(amounts, rate.vector, strict=False))
    return Fraction(total, rate.denominator)


def different_quantities(context: GroupContext) -> Iterator[GroupHypothesis]:
    """Cached or reasoning tokens counted in another way, everywhere in the group."""
    for name, hypothesis in QUANTITY_HYPOTHESES.items():
        delta, affected = Fraction(0), 0
        for usage in context.group.billable:
            changed = hypothesis(usage.quantities)
            if usage.rate is None or changed == usage.quantities:
                continue
            before, after = (exact_nano(each, usage.requests, usage.rate) for each in (usage.quantities, changed))
            if before is not None and after is not None:
                delta += after - before
                affected += usage.requests
        yield GroupHypothesis(Candidate((CausePart(Cause.QUANTITY, name),), (round(delta),)), slack_nano=charge_slack(affected))


def different_prices(context: GroupContext) -> Iterator[GroupHypothesis]:
    """All usage of one model charged at another recorded price."""
    for (provider, model), usages in _by(context.group.billable, lambda each: (each.provider, each.model)).items():
        for rate in other_rates(context.recorded, provider, model, next((each.rate for each in usages if each.rate), None)):
            amounts = [exact_nano(each.quantities, each.requests, rate) for each in usages]
            if any(amount is None for amount in amounts):
                continue
            delta = round(sum(filter(None, amounts), Fraction(0))) - sum(each.amount_nano for each in usages)
            slack = charge_slack(sum(each.requests for each in usages))
            if abs(delta) > slack:
                yield GroupHypothesis(Candidate((CausePart(Cause.PRICE, f"rate {rate.id}"),), (delta,)), slack_nano=slack)


def other_routes_billed(context: GroupContext) -> Iterator[GroupHypothesis]:
    """Usage that another party bills, billed here as well: all of it, or that of one provider, model or day."""
    usages = [each for each in context.group.ours if each.billability == Billability.OTHER_ROUTE]
    yield from _cuts(Cause.OTHER_ROUTE_BILLED, usages, 1, whole=True)


def failures_billed(context: GroupContext) -> Iterator[GroupHypothesis]:
    """Failed requests billed: at the rate of the model's successful requests, otherwise at each recorded rate."""
    failed = [each for each in context.group.ours if each.billability == Billability.FAILED]
    charged = {(each.provider, each.model): [each.rate] for each in context.group.billable if each.rate is not None}
    rates = {
        (each.provider, each.model): charged.get((each.provider, each.model))
        or list(context.recorded.get((each.provider, each.model.casefold()), ()))
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
        yield GroupHypothesis(candidate, requests, charge_slack(requests))


def missing_parts(context: GroupContext) -> Iterator[GroupHypothesis]:
    """A provider, a model or a day that the invoice does not bill."""
    yield from _cuts(Cause.MISSING_THERE, context.group.billable, -1, whole=False)


def duplicates(context: GroupContext) -> Iterator[GroupHypothesis]:
    """Everything, or a provider, a model or a day, billed twice."""
    yield from _cuts(Cause.DUPLICATE_THERE, context.group.billable, 1, whole=True)


def shifted_periods(context: GroupContext) -> Iterator[GroupHypothesis]:
    """A period that starts and ends some hours earlier or later."""
    start, end = context.coverage.start // MICROS_PER_HOUR, context.coverage.end // MICROS_PER_HOUR
    for hours in range(1, MAX_SHIFT_MICROS // MICROS_PER_HOUR + 1):
        for shift in (hours, -hours):
            amount = requests = 0
            for edge in context.group.edges:
                inside, shifted = start <= edge.hour < end, start + shift <= edge.hour < end + shift
                amount += (shifted - inside) * edge.amount_nano
                requests += (shifted - inside) * edge.requests
            detail = format_shift(shift * MICROS_PER_HOUR)
            yield GroupHypothesis(exactly(Cause.PERIOD_EDGE, detail, amount), requests)


Hypothesis = Callable[[GroupContext], Iterable[GroupHypothesis]]

HYPOTHESES: tuple[Hypothesis, ...] = (
    different_quantities, different_prices, other_routes_billed, failures_billed, missing_parts, duplicates, shifted_periods,
)  # fmt: skip


def _cuts(cause: Cause, usages: Sequence[MeteredUsage], sign: int, *, whole: bool) -> Iterator[GroupHypothesis]:
    """Yield the cuts through usages: all (with ``whole``), one provider, one model, one day. Equal cuts are yielded once."""
    seen = {(0, 0)}
    dimensions: tuple[tuple[str, Callable[[MeteredUsage], str], bool], ...] = (
        ("", lambda _: "", False),
        ("provider ", lambda each: each.provider, False),
        ("model ", lambda each: f"{each.provider}/{each.model}", False),
        ("day ", lambda each: str(each.day), True),
    )
    if not whole:
        seen.add((sum(each.amount_nano for each in usages), sum(each.requests for each in usages)))
    for name, value_of, narrow in dimensions:
        for value, members in sorted(_by(usages, value_of).items()):
            amount, requests = sum(each.amount_nano for each in members), sum(each.requests for each in members)
            if (amount, requests) not in seen:
                seen.add((amount, requests))
                candidate = exactly(cause, f"{name}{value}", sign * amount)
                yield GroupHypothesis(
                    candidate, sign * requests, narrow=narrow or (cause is Cause.DUPLICATE_THERE and bool(value))
                )


def _by(usages: Iterable[MeteredUsage], value_of: Callable[[MeteredUsage], K]) -> dict[K, list[MeteredUsage]]:
    groups: dict[K, list[MeteredUsage]] = {}
    for usage in usages:
        groups.setdefault(value_of(usage), []).append(usage)
    return groups
