"""The totals of re-rating runs and corrections match their charges."""

from collections.abc import Iterator
from operator import add

from sqlalchemy import Connection

from metering.domain.charges.corrections import RunKind
from metering.domain.charges.rerating import RunSums
from metering.domain.violations import Violation
from metering.storage.charges.correction_runs import correction_runs
from metering.storage.charges.rerate_runs import all_runs, sums_by_run
from metering.storage.usage.retired_months import retired_sums_by_run


def runs_match_charges(connection: Connection) -> Iterator[Violation]:
    """A run's number of changed events and its amounts before and after match the charges that it reversed and replaced.

    Charges of retired events count as they were when the events were retired.
    """
    written = sums_by_run(connection)
    for run_id, sums in retired_sums_by_run(connection).items():
        written[run_id] = RunSums(*map(add, sums, written.get(run_id, RunSums(0, 0, 0, 0))))
    stored = {
        run.id: RunSums(run.events_changed, run.events_changed, run.before_nano, run.after_nano) for run in all_runs(connection)
    }
    for correction in correction_runs(connection):
        reversed_events = 0 if correction.kind is RunKind.RESTORE else correction.events_changed
        replaced_events = 0 if correction.kind is RunKind.WITHDRAW else correction.events_changed
        stored[correction.id] = RunSums(reversed_events, replaced_events, correction.before_nano, correction.after_nano)
    for run_id, sums in sorted(stored.items()):
        expected = written.get(run_id, RunSums(0, 0, 0, 0))
        if sums != expected:
            message = f"the totals of run {run_id} do not match its charges"
            yield Violation("run_differs", f"run {run_id}", _in_words(expected), _in_words(sums), message)


def _in_words(sums: RunSums) -> str:
    return ", ".join(f"{name} {value}" for name, value in sums._asdict().items())
