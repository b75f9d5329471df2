"""The progress of an ingest: a bar with rate and remaining time, on stderr if it is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from metering.cli.terminal.output import console
from metering.cli.terminal.sanitize import sanitize
from metering.operations.usage.ingest_log import Progress as LogProgress

OnProgress = Callable[[LogProgress], None]


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Callable[[str], OnProgress]]:
    """Show a bar while the context is open, if ``shown`` and stderr is a terminal.

    Yields a function that adds an input by name and returns the callback for its progress.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda _: _ignore
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        console=console(sys.stderr),
        transient=True,
    )
    with bar:
        yield lambda name: _add_input(bar, name)


def _add_input(bar: Progress, name: str) -> OnProgress:
    task = bar.add_task(Text(sanitize(name)).plain, total=None, rate="")

    def update(progress: LogProgress) -> None:
        elapsed = bar.tasks[task].elapsed or 0
        records = progress.result.received
        rate = f"{records:,} records, {records / elapsed:,.0f}/s" if elapsed else f"{records:,} records"
        bar.update(task, completed=progress.done, total=progress.size, rate=rate)

    return update


def _ignore(_: LogProgress) -> None:
    """Do nothing."""
