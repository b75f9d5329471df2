"""Quarantine: records that could not become usage events."""

from typing import NamedTuple


class QuarantinedRecord(NamedTuple):
    """Where a bad record stands and why it was refused; never its content."""

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
    kept: str
    options: str
    recorded_at: int
    seen_at: int
    resolved_at: int | None
