"""The totals of a re-rating run match its charges."""

from collections.abc import Iterator
from operator import add

from sqlalchemy import Connection

from metering.domain.charges.rerating import RunSums
from metering.domain.violations import Violation
from metering.storage.charges.rerate_runs import all_runs, sums_by_run
from metering.storage.usage.retired_months import retired_sums_by_run


def runs_match_charges(connection: Connection) -> Iterator[Violation]:
    """A run's number of changed events and its amounts before and after match the charges that it reversed and replaced.

    Charges of retired events count as they were when the events were retired.
    """
    written = sums_by_run(connection)
    for run_id, sums in retired_sums_by_run(connection).items():
        written[run_id] = RunSums(*map(add, sums, written.get(run_id, RunSums(0, 0, 0, 0))))
    for run in all_runs(connection):
        expected = written.get(run.id, RunSums(0, 0, 0, 0))
        stored = RunSums(run.events_changed, run.events_changed, run.before_nano, run.after_nano)
        if stored != expected:
            message = f"the totals of re-rating run {run.id} do not match its charges"
            yield Violation("run_differs", f"run {run.id}", _in_words(expected), _in_words(stored), message)


def _in_words(sums: RunSums) -> str:
    return ", ".join(f"{name} {value}" for name, value in sums._asdict().items())
