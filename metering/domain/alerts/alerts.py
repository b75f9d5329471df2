"""An alert: something to know about, raised exactly once."""

from typing import NamedTuple


class Alert(NamedTuple):
    """An alert as it was raised; times in microseconds UTC."""

    id: int
    type: str
    subject: str
    period: str
    threshold: int
    account_id: int | None
    occurred_at: int
    recorded_at: int
    data: str
