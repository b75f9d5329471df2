"""Price syncs: each fetch of a source's prices, its outcome, and the decision about one that was pending."""

from typing import Any, NamedTuple

# Outcomes as they are stored and shown. A sync with the outcome `held` is pending until a further row decides it, as `accepted`
# or `superseded`.
RECORDED = "recorded"
UNCHANGED = "unchanged"
HELD = "held"
ACCEPTED = "accepted"
SUPERSEDED = "superseded"
FAILED = "failed"


class PriceSync(NamedTuple):
    """A recorded sync; ``decided_by`` and ``decision`` are the row that decided it, if it was pending.

    Times are microseconds UTC. ``changes`` and ``reasons`` are JSON lists as ``change_data`` writes them; ``held`` is the price
    table of a pending sync as JSON.
    """

    id: int
    source: str
    started_at: int
    finished_at: int
    outcome: str
    etag: str
    digest: str
    table_id: int | None
    decides: int | None
    changes: str
    reasons: str
    held: str
    error_code: str
    error_message: str
    decided_by: int | None
    decision: str | None


class SourceHealth(NamedTuple):
    """The state of syncing with one source. Times are microseconds UTC, None for never.

    ``waiting`` is the id of the pending sync; ``last_error`` is empty unless the last attempt failed.
    """

    last_attempt_at: int | None
    last_success_at: int | None
    last_failure_at: int | None
    consecutive_failures: int
    last_error: str
    waiting: int | None


class SyncPreview(NamedTuple):
    """What a sync would change, and the reasons why it would be pending, as ``change_data`` writes them."""

    changes: list[dict[str, Any]]
    reasons: list[dict[str, str]]
