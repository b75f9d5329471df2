"""What a re-rating run says it did is what its charges come to."""

from collections.abc import Iterator
from operator import add

from sqlalchemy import Connection

from metering.domain.charges.rerating import RunSums
from metering.domain.violations import Violation
from metering.storage.charges.rerate_runs import all_runs, sums_by_run
from metering.storage.usage.retired_months import retired_sums_by_run


def runs_match_charges(connection: Connection) -> Iterator[Violation]:
    """Each run counts as many events as its charges took back and replaced, and the amounts before and after are theirs.

    Charges of retired events count as they were when these left.
    """
    written = sums_by_run(connection)
    for run_id, sums in retired_sums_by_run(connection).items():
        written[run_id] = RunSums(*map(add, sums, written.get(run_id, RunSums(0, 0, 0, 0))))
    for run in all_runs(connection):
        expected = written.get(run.id, RunSums(0, 0, 0, 0))
        told = RunSums(run.events_changed, run.events_changed, run.before_nano, run.after_nano)
        if told != expected:
            message = f"re-rating run {run.id} does not say what its charges come to"
            yield Violation("run_differs", f"run {run.id}", _in_words(expected), _in_words(told), message)


def _in_words(sums: RunSums) -> str:
    return ", ".join(f"{name} {value}" for name, value in sums._asdict().items())
