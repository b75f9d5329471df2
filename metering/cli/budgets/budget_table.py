"""Budgets as tables and text for people."""

from collections.abc import Sequence

from metering.answers.budgets.budgets import (
    BudgetAnswer,
    BudgetHistoryAnswer,
    BudgetRevisionAnswer,
    BudgetStateAnswer,
    BudgetTermsAnswer,
)
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_table
from metering.cli.terminal.sanitize import sanitize
from pricing.dollars import display_cents, display_nano
from pricing.money import NANO_PER_CENT

_BAR, _SHORT_BAR = 20, 8
_METHODS = {
    "blended_rate": "at the average of this period's rate and the rate of the last 7 days",
    "period_rate": "at this period's rate",
    "recent_rate": "at the rate of the last 7 days",
    "final": "the period is over",
    "too_little_known": "too little data for a forecast",
}
_WINDOWS = {"day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly", "fixed": "fixed window"}


def print_budgets(budgets: Sequence[BudgetAnswer]) -> None:
    """Print budgets as a table, one per row, with a bar of their spend."""
    columns = [
        Column("id", "count"), Column("account", "name"), Column("name", "name"), Column("period", "code"),
        Column("amount", "money"), Column("spent", "money"), Column("used", "words"), Column("forecast", "money"),
        Column("state", "words"),
    ]  # fmt: skip
    print_table(columns, [_row(budget) for budget in budgets])


def print_budget(budget: BudgetAnswer) -> None:
    """Print one budget with its state, and its revisions if it has them."""
    name = f", {sanitize(budget.name)}" if budget.name else ""
    echo(f"budget {budget.id}{name}: {sanitize(budget.account)}, {_scope(budget)}", style="bold")
    for label, text in _lines(budget):
        echo(f"{label:<11}{text}")
    for revision in budget.revisions if isinstance(budget, BudgetHistoryAnswer) else ():
        label = "revisions" if revision.revision == 1 else ""
        echo(f"{label:<11}{revision.recorded_at[:16]}Z {_revision(revision)}")


def _lines(budget: BudgetAnswer) -> list[tuple[str, str]]:
    state = budget.state
    lines = [
        ("period", f"{state.period}, {_window(budget)}"),
        ("spent", f"${display_nano(state.spent_nano_usd)} of ${display_nano(budget.amount_nano_usd)}"),
        ("", f"{_bar(state)} {state.percent}%"),
        ("left", _left(state)),
        ("thresholds", _thresholds(budget)),
        ("forecast", _forecast(state)),
    ]
    if state.exhausted_at is not None:
        lines.append(("used up", f"about {state.exhausted_at[:16]}Z, at that rate"))
    if state.unpriced_events:
        lines.append(("unpriced", f"{counted(state.unpriced_events, 'request')} without a price, not included"))
    if state.blocked:
        lines.append(("blocked", f"until spending falls below {budget.block_percent}%"))
    return lines


def _forecast(state: BudgetStateAnswer) -> str:
    if state.forecast_nano_usd is None:
        return _METHODS[state.forecast_method]
    exact = state.forecast_method == "final"
    amount = f"${display_nano(state.forecast_nano_usd)}" if exact else f"about ${_in_cents(state.forecast_nano_usd)}"
    return f"{amount}, {_METHODS[state.forecast_method]}"


def _row(budget: BudgetAnswer) -> list[Cell]:
    state = budget.state
    conditions = [
        *(["blocked"] if state.blocked else []),
        *([f"{max(state.reached)}% reached"] if state.reached and not state.blocked else []),
        *([f"{state.unpriced_events:,} unpriced"] if state.unpriced_events else []),
    ]
    return [
        budget.id, budget.account, budget.name or _scope(budget), state.period, display_nano(budget.amount_nano_usd),
        display_nano(state.spent_nano_usd), f"{_bar(state, _SHORT_BAR)} {state.percent}%", _in_cents(state.forecast_nano_usd),
        ", ".join(conditions) or "ok",
    ]  # fmt: skip


def _in_cents(amount_nano: int | None) -> str:
    """Format an estimate: cents are precise enough."""
    return "" if amount_nano is None else display_cents(amount_nano // NANO_PER_CENT)


def _left(state: BudgetStateAnswer) -> str:
    left = state.remaining_nano_usd
    return f"${display_nano(left)}" if left >= 0 else f"none, exceeded by ${display_nano(-left)}"


def _bar(state: BudgetStateAnswer, length: int = _BAR) -> str:
    tenths = int(state.percent.replace(".", ""))
    full = max(0, min(length, tenths * length // 1000))
    return "█" * full + "░" * (length - full)


def _thresholds(budget: BudgetAnswer) -> str:
    state, shown = budget.state, []
    for percent in sorted(budget.thresholds):
        mark = " (alerted)" if percent in state.fired else " (reached)" if percent in state.reached else ""
        shown.append(f"{percent}%{mark}")
    if budget.forecast_percent is not None:
        shown.append(f"forecast {budget.forecast_percent}%{' (reached)' if state.forecast_exceeded else ''}")
    if budget.block_percent is not None:
        shown.append(f"blocks at {budget.block_percent}%")
    return ", ".join(shown)


def _scope(terms: BudgetTermsAnswer) -> str:
    return sanitize(", ".join(f"{name} {' or '.join(values)}" for name, values in terms.scope.items())) or "all usage"


def _window(terms: BudgetTermsAnswer) -> str:
    return _WINDOWS[terms.window] + ("" if terms.basis == "gross" else ", after credits")


def _revision(revision: BudgetRevisionAnswer) -> str:
    thresholds = ", ".join(f"{percent}%" for percent in sorted(revision.thresholds)) or "no spend threshold"
    parts = [
        f"${display_nano(revision.amount_nano_usd)} {_window(revision)}",
        _scope(revision),
        thresholds,
        *([f"forecast {revision.forecast_percent}%"] if revision.forecast_percent is not None else []),
        *([f"blocks at {revision.block_percent}%"] if revision.block_percent is not None else []),
        f"by the {sanitize(revision.recorded_by)}",
    ]
    return ", ".join(parts)
