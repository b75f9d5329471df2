"""How far an ingest is: a bar with rate and time left, on stderr, where a person watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from metering.cli.terminal.output import console
from metering.cli.terminal.sanitize import sanitize
from metering.operations.usage.ingest_log import Progress as LogProgress

Follow = Callable[[str], Callable[[LogProgress], None]]
"""Given an input's name, returns what is told of its progress."""


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Follow]:
    """Give a bar; it says nothing where it is not ``shown`` or stderr is no terminal."""
    if not shown or not sys.stderr.isatty():
        yield lambda _: _nothing
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
        yield lambda name: _follow(bar, name)


def _follow(bar: Progress, name: str) -> Callable[[LogProgress], None]:
    task = bar.add_task(Text(sanitize(name)).plain, total=None, rate="")

    def told(progress: LogProgress) -> None:
        elapsed = bar.tasks[task].elapsed or 0
        records = progress.result.received
        rate = f"{records:,} records, {records / elapsed:,.0f}/s" if elapsed else f"{records:,} records"
        bar.update(task, completed=progress.done, total=progress.size, rate=rate)

    return told


def _nothing(_: LogProgress) -> None:
    """Nobody watches."""
