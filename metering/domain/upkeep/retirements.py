"""Retirements: months whose events were removed from the log, and the exports that were written before."""

from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from metering.domain.usage.retention import EventMonth


class MonthFacts(NamedTuple):
    """The number of a month's events, copies and charges, and their largest IDs, which show whether any were added."""

    events: int
    copies: int
    charges: int
    last_id: int
    last_charge_id: int


class RetiredMonth(NamedTuple):
    """One retirement: how many rows left the log, where they were exported to (empty: nowhere), and when."""

    month: int
    events: int
    copies: int
    charges: int
    last_id: int
    directory: str
    digest: str
    retired_at: int


class EventExport(Struct, frozen=True):
    """A complete export on disk: its folder, the SHA-256 of its manifest in hex, and the rows it holds."""

    directory: Path
    digest: str
    facts: MonthFacts


class Retirement(Struct, frozen=True):
    """A retirement that was just made, and the size of the database before and after it, in bytes."""

    month: RetiredMonth
    bytes_before: int
    bytes_after: int


class EventMonths(Struct, frozen=True):
    """Every month that ever had events, and every retirement, oldest first."""

    months: list[EventMonth]
    retired: list[RetiredMonth]
