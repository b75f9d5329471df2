"""Quarantine: records that could not become usage events."""

from typing import NamedTuple


class QuarantinedRecord(NamedTuple):
    """A rejected record: where it is and why it was rejected, never its content.

    ``kept`` holds the identifying fields that could be read. ``options`` is JSON of how the record was read, so that a replay
    reads it the same way. Times are microseconds UTC; ``resolved_at`` is None while the record is in quarantine.
    """

    id: int
    source: str
    file: str
    line: int
    offset: int
    length: int
    digest: str
    code: str
    reason: str
    field: str
    kept: dict[str, str]
    options: str
    recorded_at: int
    seen_at: int
    resolved_at: int | None
