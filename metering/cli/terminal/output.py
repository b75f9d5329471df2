"""What commands write: tables for people and JSON for programs on stdout, notes and progress on stderr.

A terminal gets color and is written to its width. A pipe gets neither: nothing is cut or wrapped, because a program may read
it.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TextIO

import msgspec
from msgspec import Struct
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metering.answers.fields import Answer
from metering.cli.terminal.amounts import aligned
from metering.cli.terminal.narrow import GAP, Breaks, extent, fitted, wrapped
from metering.cli.terminal.sanitize import sanitize

PIPE_WIDTH = 10_000

Kind = Literal["text", "name", "code", "words", "time", "count", "money"]
Cell = str | int | None


class Column(NamedTuple):
    """A column of a table; the amounts of ``money`` are given as text.

    In a narrow terminal a ``name`` and a ``code`` wrap at their separators, ``words`` between words, and a ``time`` between
    date and time; other kinds never wrap.
    """

    title: str
    kind: Kind = "text"


def console(stream: TextIO | None = None) -> Console:
    """Return a console on a stream. Default: stdout."""
    file = stream or sys.stdout
    return Console(
        file=file,
        width=None if file.isatty() else PIPE_WIDTH,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=False,
    )


def echo(text: str = "", *, style: str = "") -> None:
    """Write a line to stdout, wrapped between words on a terminal."""
    console().print(Text(text, style=style))


def warn(text: str, *, style: str = "") -> None:
    """Write a line to stderr."""
    console(sys.stderr).print(Text(text, style=style))


def print_json(answer: Answer | Struct | dict[str, Any]) -> None:
    """Write an answer as JSON to stdout."""
    content = answer.model_dump(mode="json") if isinstance(answer, Answer) else msgspec.to_builtins(answer)
    sys.stdout.write(json.dumps(content, indent=2) + "\n")


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, title: str = "", totals: Sequence[Cell] | None = None
) -> None:
    """Write a table to stdout; ``totals`` is its last row, below a line. A terminal that is too narrow gets lists."""
    drawn = Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
        show_edge=False,
        show_footer=totals is not None,
        pad_edge=False,
        header_style="bold",
        footer_style="bold",
    )
    all_rows = [*rows, totals] if totals is not None else list(rows)
    cells = [_column_cells(column, [row[number] for row in all_rows]) for number, column in enumerate(columns)]
    target = console()
    titles = [_title(column, texts) for column, texts in zip(columns, cells, strict=True)]
    if sys.stdout.isatty():
        narrowed = _narrowed(columns, cells, target.width)
        if narrowed is None:
            _print_lists(target, columns, cells, title)
            return
        titles, cells = narrowed
    for column, heading, texts in zip(columns, titles, cells, strict=True):
        drawn.add_column(
            Text(heading),
            footer=Text(texts[-1]) if totals is not None else "",
            justify="right" if column.kind == "count" else "left",
            no_wrap=True,
            overflow="fold",
        )
    for number in range(len(rows)):
        drawn.add_row(*(Text(texts[number]) for texts in cells))
    if sys.stdout.isatty():
        target.print(drawn)
        return
    with target.capture() as captured:
        target.print(drawn)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    sys.stdout.write("\n".join(lines) + "\n")


def _column_cells(column: Column, values: Sequence[Cell]) -> list[str]:
    texts = [f"{value:,}" if isinstance(value, int) else sanitize(value or "") for value in values]
    return [text.rjust(len(column.title)) for text in aligned(texts)] if column.kind == "money" else texts


def _title(column: Column, texts: Sequence[str]) -> str:
    return column.title.rjust(len(texts[0])) if column.kind == "money" and texts else column.title


def _narrowed(columns: Sequence[Column], cells: list[list[str]], room: int) -> tuple[list[str], list[list[str]]] | None:
    """Return titles and cells wrapped so that the table fits into ``room``; None if a word would have to be broken."""
    cells = [_flush(texts) if column.kind == "money" else texts for column, texts in zip(columns, cells, strict=True)]
    breaks: list[Breaks] = [_BREAKS.get(column.kind, "never") for column in columns]
    extents = [
        extent(texts, breaks=where).including(extent([column.title], breaks="words"))
        for column, texts, where in zip(columns, cells, breaks, strict=True)
    ]
    widths = fitted(extents, room)
    if widths is None:
        return None
    titles = [wrapped(column.title, width, breaks="words") for column, width in zip(columns, widths, strict=True)]
    for number, (column, width) in enumerate(zip(columns, widths, strict=True)):
        if column.kind == "money":
            titles[number] = "\n".join(line.rjust(width) for line in titles[number].split("\n"))
            cells[number] = [text.rjust(width) for text in cells[number]]
        else:
            cells[number] = [wrapped(text, width, breaks=breaks[number]) for text in cells[number]]
    return titles, cells


def _print_lists(target: Console, columns: Sequence[Column], cells: list[list[str]], title: str) -> None:
    """Write each row as a list of its columns; totals, if any, come last."""
    if title:
        target.print(Text(title, style="bold"))
    label = max(len(column.title) for column in columns) + GAP
    for row in range(len(cells[0])):
        if row or title:
            target.print()
        for column, texts in zip(columns, cells, strict=True):
            text = texts[row].strip()
            lines = wrapped(text, max(1, target.width - label), breaks=_BREAKS.get(column.kind, "never")).split("\n")
            for number, line in enumerate(lines if text else []):
                target.print(Text.assemble((column.title if not number else "").ljust(label), line), soft_wrap=True)


def _flush(texts: Sequence[str]) -> list[str]:
    """Return texts of one width without the blanks that all of them begin with."""
    blank = min((len(text) - len(text.lstrip()) for text in texts), default=0)
    return [text[blank:] for text in texts]


_BREAKS: dict[Kind, Breaks] = {"name": "name", "code": "code", "words": "words", "time": "words"}
