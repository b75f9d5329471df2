"""Causes and their details as people read them; the same on every surface."""

from metering.domain.errors import InvalidTimeError
from metering.domain.instants import date_of
from metering.domain.reconciliation.causes import WORDS, Cause
from metering.domain.reconciliation.explanations import read_explanation

_DETAILS = {
    "cached_as_input": "cached tokens charged as input",
    "cached_twice": "cached tokens charged as input and as cached",
    "cached_free": "cached tokens not charged",
    "reasoning_twice": "reasoning tokens charged beside the output that holds them",
    "reasoning_free": "reasoning tokens not charged",
    "metered_twice": "the same id is metered twice here",
    "of the total": "of the total",
}


def describe_cause(cause: str) -> str:
    """Say a cause."""
    return WORDS[Cause(cause)]


def describe_detail(detail: str) -> str:
    """Say what a detail distinguishes; alternatives one after the other."""
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
        return f"a period that begins and ends {detail.strip('+-')} {'later' if detail[0] == '+' else 'earlier'}"
    if detail.startswith("x "):
        return f"{detail.removeprefix('x ')} times our amounts"
    if detail.startswith("rate "):
        return f"the price of {detail}"
    kinds = [_DETAILS.get(kind, kind.replace("_", " ")) for kind in detail.split("+")]
    return " and ".join(kinds)


def describe_explanation(explanation: str) -> str:
    """Say an explanation as it is recorded: ``quantity:cached_as_input+price:rate 12``."""
    parts = read_explanation(explanation)
    return " and ".join(
        f"{describe_cause(cause)}: {describe_detail(detail)}" if detail else describe_cause(cause) for cause, detail in parts
    )


def describe_location(model: str, provider: str, session: str) -> str:
    """Say where: ``llama at together, session search``."""
    return ", ".join(filter(None, [" at ".join(filter(None, [model, provider])), f"session {session}" if session else ""]))


def describe_day(day: int | None) -> str:
    """Say a day number; nothing of none."""
    return "" if day is None else _day(str(day))


def _day(number: str) -> str:
    try:
        return date_of(int(number)).isoformat()
    except (ValueError, OverflowError, InvalidTimeError):
        return number
