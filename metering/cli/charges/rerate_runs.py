"""The list of re-rating runs."""

from metering.answers.charges.rerating import RerateRunAnswer
from metering.cli.terminal.output import Cell, Column, echo, print_table
from pricing.dollars import display_nano

_COLUMNS = (
    Column("run", "count"),
    Column("started", "time"),
    Column("finished", "time"),
    Column("charges", "name"),
    Column("examined", "count"),
    Column("replaced", "count"),
    Column("before", "money"),
    Column("after", "money"),
    Column("reason", "words"),
)


def print_runs(runs: list[RerateRunAnswer]) -> None:
    """Print a table of runs, and how to continue those that did not finish."""
    if not runs:
        echo("no re-rating runs")
        return
    print_table(_COLUMNS, [_row(run) for run in runs])
    for run in runs:
        if run.finished_at is None:
            echo(f"run {run.id} is not finished: continue it with `metering rerate --resume {run.id}`")


def _row(run: RerateRunAnswer) -> list[Cell]:
    limits = [each for each in (run.provider, run.model) if each]
    scope = ", ".join([run.account or "all accounts", *limits, f"{_short(run.start)} to {_short(run.end)}"])
    return [
        run.id,
        _short(run.requested_at),
        "no" if run.finished_at is None else _short(run.finished_at),
        scope,
        run.events_examined,
        run.events_changed,
        display_nano(run.before_nano_usd),
        display_nano(run.after_nano_usd),
        run.reason,
    ]


def _short(instant: str) -> str:
    """Return an instant to the second; midnight as a date."""
    day, _, time = instant.partition("T")
    return day if time == "00:00:00.000000Z" else f"{day} {time[:8]}Z"
