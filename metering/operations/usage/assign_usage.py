"""Assign usage of undeclared accounts to an account, with a preview of what that changes.

Each chunk is one transaction. After an interruption, the same call completes the rest. An event is assigned once, permanently,
so repeating a call changes nothing. The event's row is never changed.
"""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_ID, UNASSIGNED_NAME
from metering.domain.errors import DomainError
from metering.domain.usage.assigning import AssignmentResult, AssignmentScope, UnassignedUsage
from metering.domain.usage.logged_events import EventPosition
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.find_account import find_account
from metering.operations.steps.lock_open_months import lock_open_months
from metering.operations.steps.resolve_accounts import BillingAccount
from metering.operations.usage.ingest import IngestSettings
from metering.operations.usage.inspect_unassigned import UnassignedEvent, UnassignedInspector, filter_unassigned
from metering.operations.usage.match_in_account import AccountMatches, claim_in_account, preview_matches
from metering.operations.usage.write_assignment import write_assignment
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices.price_books import load_book
from metering.storage.statements.closed_months import mark_of
from metering.storage.usage.unassigned_usage import unassigned_positions, unassigned_usage

CHUNK = 2_000


def list_unassigned(engine: Engine, *, after: tuple[str, str] | None = None, limit: int | None = None) -> list[UnassignedUsage]:
    """Return usage of undeclared accounts by (name, source), starting after ``after``."""
    with read_snapshot(engine) as connection:
        return unassigned_usage(connection, after=after, limit=limit)


def preview_assignment(engine: Engine, account: str, scope: AssignmentScope, settings: IngestSettings) -> AssignmentResult:
    """Return what an assignment would change, from one snapshot of the database.

    Raises NotFoundError for the account, and DomainError for ``unassigned`` itself or a scope that is not valid.
    """
    scope.check()
    result = AssignmentResult()
    with read_snapshot(engine) as connection:
        billed_to = _account(connection, account)
        closed_through = mark_of(connection, billed_to.account_id).closed_through
        inspector = UnassignedInspector(billed_to, load_book(connection), settings.declared_tags)
        for event_ids in _chunks(connection, scope):
            candidates = inspector.inspect(connection, event_ids)
            _include(result, candidates, preview_matches(connection, billed_to.account_id, candidates), closed_through)
    return result


def assign_usage(
    engine: Engine,
    account: str,
    scope: AssignmentScope,
    settings: IngestSettings,
    *,
    clock: Callable[[], int],
    on_progress: Callable[[AssignmentResult], None] | None = None,
) -> AssignmentResult:
    """Assign the scope's events to an account; return what changed. Raises the same errors as ``preview_assignment``.

    ``on_progress`` gets the result up to then after the commit of each chunk.
    """
    scope.check()
    with read_snapshot(engine) as connection:
        billed_to = _account(connection, account)
        inspector = UnassignedInspector(billed_to, load_book(connection), settings.declared_tags)
    index = SeriesIndex(engine, settings.series_cap)
    result = AssignmentResult()
    after: EventPosition | None = None
    while True:
        # Finding candidates reads all unassigned usage, so it runs without the write lock; each is checked again under it.
        with read_snapshot(engine) as connection:
            positions = unassigned_positions(connection, scope, after, CHUNK)
            candidates = inspector.inspect(connection, [position.event_id for position in positions])
        if not positions:
            return result
        index.prepare(each.target_series for each in candidates)
        with exclusive_write(engine) as connection:
            chunk = _assign(connection, billed_to, filter_unassigned(connection, candidates), index, clock())
        result.include(chunk)
        after = positions[-1]
        if on_progress is not None:
            on_progress(result)


def _assign(
    connection: Connection, billed_to: BillingAccount, candidates: list[UnassignedEvent], index: SeriesIndex, now: int
) -> AssignmentResult:
    result = AssignmentResult()
    if not candidates:
        return result
    account_id = billed_to.account_id
    closed_through = lock_open_months(connection, {account_id}, now=now).last or None
    matches = claim_in_account(connection, account_id, candidates)
    write_assignment(
        connection, candidates, matches, lambda each: index.find(each.target_series)[0], closed_through=closed_through, now=now
    )
    _include(result, candidates, matches, closed_through)
    return result


def _include(
    result: AssignmentResult, candidates: list[UnassignedEvent], matches: AccountMatches, closed_through: int | None
) -> None:
    for each in candidates:
        assigned = matches.assigned.get(each.row.id)
        if assigned is None:
            result.conflicts += 1
        elif assigned.is_counted:
            result.move(*each.moved(closed_through))
        else:
            result.repeats += 1
            result.repeats_nano += each.entry.amount_nano


def _chunks(connection: Connection, scope: AssignmentScope) -> Iterator[list[int]]:
    after: EventPosition | None = None
    while positions := unassigned_positions(connection, scope, after, CHUNK):
        yield [position.event_id for position in positions]
        after = positions[-1]


def _account(connection: Connection, name: str) -> BillingAccount:
    account = find_account(connection, name)
    if account.id == UNASSIGNED_ID:
        raise DomainError(f"{UNASSIGNED_NAME!r} already holds this usage; name the account to assign it to")
    return BillingAccount(account.id, account.default_route)
