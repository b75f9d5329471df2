"""Re-rating runs as they are shown: what each was asked to do, how far it is, and what it came to."""

from collections.abc import Sequence

from metering.cli.prices.price_text import since
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.domain.amounts import money
from metering.domain.charges.rerating import RerateRun
from metering.domain.instants import format_instant
from pricing.dollars import display_nano

_COLUMNS = (
    Column("run", "count"),
    Column("begun", "time"),
    Column("done", "time"),
    Column("charges of", "name"),
    Column("examined", "count"),
    Column("replaced", "count"),
    Column("before", "money"),
    Column("after", "money"),
    Column("reason", "words"),
)


def show_runs(runs: Sequence[RerateRun], names: dict[int, str], *, as_json: bool) -> None:
    """Show runs, oldest first; ``names`` are those of accounts."""
    if as_json:
        print_json({"runs": [{**run_json(run), **_scope_json(run, names)} for run in runs]})
        return
    if not runs:
        echo("nothing was re-rated yet")
        return
    print_table(_COLUMNS, [_row(run, names) for run in runs])
    for run in runs:
        if run.finished_at is None:
            echo(f"run {run.id} is not done: `metering rerate --resume {run.id}` does what is left")


def run_json(run: RerateRun) -> dict[str, object]:
    """Return a run's state and totals."""
    return {
        "id": run.id,
        "reason": run.reason,
        "requested_at": format_instant(run.requested_at),
        "finished_at": None if run.finished_at is None else format_instant(run.finished_at),
        "events_examined": run.events_examined,
        "events_changed": run.events_changed,
        "events_kept": run.events_kept,
        **money("before", run.before_nano),
        **money("after", run.after_nano),
        **money("difference", run.after_nano - run.before_nano),
    }


def _scope_json(run: RerateRun, names: dict[int, str]) -> dict[str, object]:
    scope = run.scope
    return {
        "account": None if scope.account_id is None else names[scope.account_id],
        "from": format_instant(scope.start),
        "to": format_instant(scope.end),
        "provider": scope.provider,
        "model": scope.model,
        "include_reported": scope.include_reported,
    }


def _row(run: RerateRun, names: dict[int, str]) -> list[Cell]:
    scope = run.scope
    who = "all accounts" if scope.account_id is None else names[scope.account_id]
    only = [each for each in (scope.provider, scope.model) if each]
    of = ", ".join([who, *only, f"{since(scope.start)} until {since(scope.end)}"])
    return [
        run.id,
        since(run.requested_at),
        "no" if run.finished_at is None else since(run.finished_at),
        of,
        run.events_examined,
        run.events_changed,
        display_nano(run.before_nano),
        display_nano(run.after_nano),
        run.reason,
    ]
