"""Budgets as tables for people and as JSON for programs."""

from collections.abc import Sequence
from typing import Any

from metering.cli.terminal.output import Cell, Column, echo, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.amounts import money
from metering.domain.budgets.budget_state import BudgetDetails, BudgetState
from metering.domain.budgets.budgets import Budget, BudgetTerms, Scope
from metering.domain.budgets.forecasts import Method
from metering.domain.instants import date_of, format_instant
from pricing.dollars import display_cents, display_nano
from pricing.money import NANO_PER_CENT

_BAR, _SHORT_BAR = 20, 8
_METHODS = {
    Method.BLENDED: "at the mean of this period's rate and that of the last 7 days",
    Method.PERIOD: "at this period's rate",
    Method.RECENT: "at the rate of the last 7 days",
    Method.FINAL: "the period is over",
    Method.NONE: "too little is known to tell",
}


def show_budget_table(views: Sequence[BudgetDetails]) -> None:
    """Print budgets, one a line, with a bar of what is spent."""
    columns = [
        Column("no.", "count"), Column("account", "name"), Column("what", "name"), Column("period", "code"),
        Column("budget", "money"), Column("spent", "money"), Column("used", "words"), Column("forecast", "money"),
        Column("state", "words"),
    ]  # fmt: skip
    print_table(columns, [_row(view) for view in views])


def show_one(view: BudgetDetails, revisions: Sequence[Budget] = ()) -> None:
    """Print one budget, how it stands, and what was said of it."""
    row, state, terms = view.row, view.state, view.row.terms
    title = f"budget {row.id}{f', {sanitize(terms.name)}' if terms.name else ''}: {sanitize(view.account)}, {_what(terms)}"
    echo(title, style="bold")
    for label, text in _lines(state):
        echo(f"{label:<11}{text}")
    for said in revisions:
        echo(f"{'' if said.revision > 1 else 'said':<11}{format_instant(said.recorded_at)[:16]} {_terms_in_words(said)}")


def _lines(state: BudgetState) -> list[tuple[str, str]]:
    terms, expected = state.terms, state.forecast
    forecast = "" if expected.amount_nano is None else f"about ${_about(expected.amount_nano)}, "
    lines = [
        ("period", f"{state.period.name}, of {_window(terms)}"),
        ("spent", f"${display_nano(state.spent_nano)} of ${display_nano(terms.amount_nano)}"),
        ("", f"{_bar(state)} {state.percent}%"),
        ("left", _left(state)),
        ("thresholds", _thresholds(state)),
        ("forecast", f"{forecast}{_METHODS[expected.method]}"),
    ]
    if expected.exhausted_at is not None:
        lines.append(("used up", f"about {format_instant(expected.exhausted_at)[:16]}, at that rate"))
    if state.unpriced_events:
        lines.append(("unpriced", f"{state.unpriced_events:,} requests, which are not in the amounts"))
    if state.blocked:
        lines.append(("blocked", f"until spending falls below {terms.block_percent}%"))
    return lines


def _row(view: BudgetDetails) -> list[Cell]:
    state, terms = view.state, view.row.terms
    expected = state.forecast.amount_nano
    words = [
        *(["blocked"] if state.blocked else []),
        *([f"{max(state.reached)}% reached"] if state.reached and not state.blocked else []),
        *([f"{state.unpriced_events:,} unpriced"] if state.unpriced_events else []),
    ]
    return [
        view.row.id, view.account, terms.name or _what(terms), state.period.name, display_nano(terms.amount_nano),
        display_nano(state.spent_nano), f"{_bar(state, _SHORT_BAR)} {state.percent}%", _about(expected),
        ", ".join(words) or "ok",
    ]  # fmt: skip


def _about(amount_nano: int | None) -> str:
    """Write an estimate, which has no more than cents to say."""
    return "" if amount_nano is None else display_cents(amount_nano // NANO_PER_CENT)


def _left(state: BudgetState) -> str:
    left = state.remaining_nano
    return f"${display_nano(left)}" if left >= 0 else f"nothing, exceeded by ${display_nano(-left)}"


def _bar(state: BudgetState, length: int = _BAR) -> str:
    full = max(0, min(length, state.percent_tenths * length // 1000))
    return "█" * full + "░" * (length - full)


def _thresholds(state: BudgetState) -> str:
    shown = []
    for percent in sorted(state.terms.thresholds):
        told = "told" if percent in state.fired else "reached" if percent in state.reached else ""
        shown.append(f"{percent}%{f' ({told})' if told else ''}")
    if state.terms.forecast_percent is not None:
        shown.append(f"forecast {state.terms.forecast_percent}%{' (reached)' if state.forecast_exceeded else ''}")
    if state.terms.block_percent is not None:
        shown.append(f"blocks at {state.terms.block_percent}%")
    return ", ".join(shown)


def _what(terms: BudgetTerms) -> str:
    return sanitize(", ".join(f"{name} {' or '.join(values)}" for name, values in terms.scope.items())) or "everything"


def _window(terms: BudgetTerms) -> str:
    basis = "" if terms.basis.value == "gross" else ", after credits"
    return ("a fixed window" if terms.first_day is not None else f"each {terms.window.value}") + basis


def _terms_in_words(row: Budget) -> str:
    if row.archived:
        return f"deleted by {sanitize(row.recorded_by)}"
    terms = row.terms
    told = ", ".join(f"{percent}%" for percent in sorted(terms.thresholds))
    also = [
        *([f"forecast {terms.forecast_percent}%"] if terms.forecast_percent is not None else []),
        *([f"blocks at {terms.block_percent}%"] if terms.block_percent is not None else []),
    ]
    what = ", ".join([_what(terms), told or "no threshold", *also])
    return f"${display_nano(terms.amount_nano)} {_window(terms)}, {what}, by the {sanitize(row.recorded_by)}"


def budget_json(view: BudgetDetails, revisions: Sequence[Budget] = ()) -> dict[str, Any]:
    """Return a budget for programs: what it says, and how it stands."""
    answer = {"id": view.row.id, "account": view.account, "revision": view.row.revision, **_terms_json(view.row.terms)}
    answer["created_at"] = format_instant(view.row.created_at)
    answer["state"] = _state_json(view.state)
    if revisions:
        answer["revisions"] = [
            {
                "revision": row.revision,
                "recorded_at": format_instant(row.recorded_at),
                "recorded_by": row.recorded_by,
                **_terms_json(row.terms),
            }
            for row in revisions
        ]
    return answer


def _terms_json(terms: BudgetTerms) -> dict[str, Any]:
    scope: Scope = terms.scope
    return {
        "name": terms.name,
        **money("amount", terms.amount_nano),
        "window": terms.window.value,
        "start": None if terms.first_day is None else date_of(terms.first_day).isoformat(),
        "end": None if terms.end_day is None else date_of(terms.end_day).isoformat(),
        "scope": {name: list(values) for name, values in scope.items()},
        "thresholds": list(terms.thresholds),
        "forecast_percent": terms.forecast_percent,
        "action": terms.action.value,
        "block_percent": terms.block_percent,
        "basis": terms.basis.value,
    }


def _state_json(state: BudgetState) -> dict[str, Any]:
    expected = state.forecast
    return {
        "period": state.period.name,
        "period_start": format_instant(state.period.start),
        "period_end": format_instant(state.period.end),
        **money("spent", state.spent_nano),
        **money("remaining", state.remaining_nano),
        "percent": state.percent,
        "reached": list(state.reached),
        "fired": list(state.fired),
        "blocked": state.blocked,
        "unpriced_events": state.unpriced_events,
        "forecast_method": expected.method.value,
        **money("forecast", expected.amount_nano),
        "forecast_exceeded": state.forecast_exceeded,
        "exhausted_at": None if expected.exhausted_at is None else format_instant(expected.exhausted_at),
    }
