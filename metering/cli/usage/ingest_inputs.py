"""Which inputs a command line names, and the source under which each is known.

A source is part of an event's identity, so it must be the same whenever the same log is read: the name of the file, whatever
its folder, and whether or not it has been compressed since. Two files of one name need sources from the user.
"""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from metering.domain.errors import DomainError
from metering.operations.usage.read_log import STDIN

STDIN_SOURCE = "stdin"
_GLOB_CHARACTERS = frozenset("*?[")


class AmbiguousSourceError(DomainError):
    """Two inputs would be known under the same source."""

    code = "ambiguous_source"


class Input(NamedTuple):
    """A file, or ``-`` for standard input, and its source."""

    path: str
    source: str


def find_inputs(paths: Sequence[str], source: str) -> list[Input]:
    """Return the inputs in the order given, a pattern's files by name, each file once.

    A pattern that fits nothing stays: reading it will say so. ``source`` empty: each is known by its name. Raises
    AmbiguousSourceError.
    """
    inputs: dict[str, Input] = {}
    for path in [found for given in paths for found in _expanded(given)]:
        where = path if path == STDIN else str(Path(path).resolve())
        inputs.setdefault(where, Input(path, source or source_of(path)))
    known: dict[str, str] = {}
    for each in inputs.values():
        other = known.setdefault(each.source, each.path)
        if other != each.path and not source:
            raise AmbiguousSourceError(
                f"{other} and {each.path} would both be the source {each.source!r}, and equal records of them would count once;"
                " ingest them one by one, each with --source NAME"
            )
    return list(inputs.values())


def source_of(path: str) -> str:
    """Return the source of a file: its base name, without ``.gz``."""
    return STDIN_SOURCE if path == STDIN else Path(path).name.removesuffix(".gz")


def _expanded(path: str) -> list[str]:
    """Return the files that a pattern fits, where the shell left it a pattern; directories are passed over."""
    if path == STDIN or not _GLOB_CHARACTERS.intersection(path) or Path(path).exists():
        return [path]
    return sorted(found for found in glob.glob(path, recursive=True) if Path(found).is_file()) or [path]  # noqa: PTH207
