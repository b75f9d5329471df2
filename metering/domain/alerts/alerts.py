"""Alerts: events worth knowing about, each raised exactly once."""

from typing import NamedTuple


class Alert(NamedTuple):
    """A raised alert. Times are microseconds UTC; ``data`` is a JSON object; ``account_id`` None: not about a single account.

    ``period`` is empty and ``threshold`` 0 for types without them. ``occurrence`` counts from 0 how often the alert occurred in
    its period.
    """

    id: int
    type: str
    subject: str
    period: str
    threshold: int
    account_id: int | None
    occurred_at: int
    recorded_at: int
    data: str
    occurrence: int = 0
