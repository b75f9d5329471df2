"""Descriptions of invoices, causes and details for people, the same in every table, page and file."""

from metering.domain.errors import InvalidTimeError
from metering.domain.instants import MICROS_PER_DAY, date_of, format_instant
from metering.domain.reconciliation.causes import DESCRIPTIONS, Cause
from metering.domain.reconciliation.explanations import read_explanation
from metering.domain.reconciliation.invoices import Grain
from metering.domain.reconciliation.records import Invoice, Reconciliation

_DETAILS = {
    "cached_as_input": "cached tokens charged as input",
    "cached_twice": "cached tokens charged as input and as cached",
    "cached_free": "cached tokens not charged",
    "reasoning_twice": "reasoning tokens charged in addition to the output that includes them",
    "reasoning_free": "reasoning tokens not charged",
    "metered_twice": "the same request ID was metered twice here",
    "of the total": "of the total",
    "rounding_to_cents": "its rounding to cents",
    "carried_forward": "carried forward from the month before",
    "usage_of_other_months": "usage of other months billed on it, or billed on others",
}


def describe_invoice(invoice: Invoice) -> str:
    """Describe the biller, the period and the grain: ``huggingface, 2026-11-01 to 2026-12-01, by request``."""
    return f"{describe_biller(invoice)}, {describe_period(invoice.start, invoice.end)}, {describe_grain(invoice.grain)}"


def describe_grain(grain: str) -> str:
    """Describe the level of detail of an invoice: ``by request``."""
    return "as a total" if grain == Grain.TOTAL else f"by {grain}"


def describe_biller(invoice: Invoice) -> str:
    """Return who bills, and the provider if the invoice covers only one: ``huggingface, together only``."""
    only = f", {invoice.provider} only" if invoice.provider and invoice.provider != invoice.biller else ""
    return f"{invoice.biller}{only}"


def describe_period(start: int, end: int) -> str:
    """Describe a half-open period: ``2026-11-01 to 2026-12-01``."""
    return f"{_short_instant(start)} to {_short_instant(end)}"


def matched_percent(run: Reconciliation) -> str:
    """Return the share of the billed usage that was found in metered usage, ``91.73%``; empty if no usage is billed."""
    if not run.usage_nano:
        return ""
    share = 10_000 * run.matched_nano // run.usage_nano
    return f"{share // 100}.{share % 100:02d}%"


def describe_cause(cause: str) -> str:
    """Describe a cause."""
    return DESCRIPTIONS[Cause(cause)]


def describe_detail(detail: str) -> str:
    """Describe a detail; several alternatives are separated by "; or"."""
    if detail.partition(":")[0] in list(Cause):
        return "; or ".join(describe_explanation(each) for each in detail.split(" | "))
    if detail.startswith("day "):
        return f"the day {_day(detail.removeprefix('day '))}"
    if detail.startswith("model "):
        provider, _, model = detail.removeprefix("model ").partition("/")
        return f"{model} at {provider}"
    if detail.startswith("provider "):
        return detail.removeprefix("provider ")
    if detail.startswith(("+", "-")) and detail.endswith(" h"):
        return f"a period that starts and ends {detail.strip('+-')} {'later' if detail[0] == '+' else 'earlier'}"
    if detail.startswith("x "):
        return f"{detail.removeprefix('x ')} times our amounts"
    if detail.startswith("rate "):
        return f"the price of {detail}"
    kinds = [_DETAILS.get(kind, kind.replace("_", " ")) for kind in detail.split("+")]
    return " and ".join(kinds)


def describe_explanation(explanation: str) -> str:
    """Describe an explanation as it is recorded: ``quantity:cached_as_input+price:rate 12``."""
    parts = read_explanation(explanation)
    return " and ".join(
        f"{describe_cause(cause)}: {describe_detail(detail)}" if detail else describe_cause(cause) for cause, detail in parts
    )


def describe_location(model: str, provider: str, session: str) -> str:
    """Describe a location: ``llama at together, session search``."""
    return ", ".join(filter(None, [" at ".join(filter(None, [model, provider])), f"session {session}" if session else ""]))


def describe_day(day: int | None) -> str:
    """Return the date of a day number; empty for None."""
    return "" if day is None else _day(str(day))


def _day(number: str) -> str:
    try:
        return date_of(int(number)).isoformat()
    except (ValueError, OverflowError, InvalidTimeError):
        return number


def _short_instant(micros: int) -> str:
    text = format_instant(micros)
    return text[:10] if micros % MICROS_PER_DAY == 0 else text
