"""The inputs that a command line names, and the source of each.

A source is part of an event's identity, so it must be the same whenever the same log is read: the file's name, regardless of
its folder and of compression. Two files with the same name need sources from the user.
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
    """Two inputs would have the same source."""

    code = "ambiguous_source"


class Input(NamedTuple):
    """A file, or ``-`` for standard input, and its source. ``derived``: the source is only the name of the file."""

    path: str
    source: str
    derived: bool = False


def find_inputs(paths: Sequence[str], source: str) -> list[Input]:
    """Return the inputs in the given order, the files of a pattern by name, each file once.

    A pattern without a match is returned as it is, and fails when it is read. Without ``source``, each input's source is its
    name. Raises AmbiguousSourceError.
    """
    inputs: dict[str, Input] = {}
    for path in [expanded for given in paths for expanded in _expand(given)]:
        resolved = path if path == STDIN else str(Path(path).resolve())
        inputs.setdefault(resolved, Input(path, source or source_of(path), derived=not source))
    path_of_source: dict[str, str] = {}
    for each in inputs.values():
        other = path_of_source.setdefault(each.source, each.path)
        if other != each.path and not source:
            raise AmbiguousSourceError(
                f"{other} and {each.path} would both have the source {each.source!r}, and equal records in them would count"
                " once; ingest them separately, each with --source NAME"
            )
    return list(inputs.values())


def source_of(path: str) -> str:
    """Return the source of a file: its base name, without ``.gz``."""
    return STDIN_SOURCE if path == STDIN else Path(path).name.removesuffix(".gz")


def _expand(path: str) -> list[str]:
    """Return the files that match a pattern which the shell did not expand, without directories."""
    if path == STDIN or not _GLOB_CHARACTERS.intersection(path) or Path(path).exists():
        return [path]
    return sorted(match for match in glob.glob(path, recursive=True) if Path(match).is_file()) or [path]  # noqa: PTH207
