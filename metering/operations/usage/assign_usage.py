"""Assign usage of accounts that nobody had declared to one that is, after a look at what that changes.

A chunk is one transaction: what an interruption leaves undone, the same again does. An event is assigned once, for ever, so
that doing it again changes nothing; its row stays what it was.
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
from metering.storage.prices.price_tables import load_tables
from metering.storage.statements.closed_months import mark_of
from metering.storage.usage.unassigned_usage import unassigned_positions, unassigned_usage
from pricing.book import PriceBook

CHUNK = 2_000


def list_unassigned(engine: Engine, *, after: tuple[str, str] | None = None, limit: int | None = None) -> list[UnassignedUsage]:
    """Return what arrived for accounts that nobody has declared, by (name, source), from the first after ``after``."""
    with read_snapshot(engine) as connection:
        return unassigned_usage(connection, after=after, limit=limit)


def preview_assignment(engine: Engine, account: str, scope: AssignmentScope, settings: IngestSettings) -> AssignmentResult:
    """Return what assigning would come to, reading one state of the database.

    Raises NotFoundError, and DomainError for the account that holds what nobody has declared or an empty period.
    """
    scope.check()
    found = AssignmentResult()
    with read_snapshot(engine) as connection:
        billed_to = _account(connection, account)
        closed_through = mark_of(connection, billed_to.account_id).closed_through
        examiner = UnassignedInspector(billed_to, PriceBook(load_tables(connection)), settings.declared_tags)
        for event_ids in _chunks(connection, scope):
            waiting = examiner.look(connection, event_ids)
            _include(found, waiting, preview_matches(connection, billed_to.account_id, waiting), closed_through)
    return found


def assign_usage(
    engine: Engine,
    account: str,
    scope: AssignmentScope,
    settings: IngestSettings,
    *,
    clock: Callable[[], int],
    on_progress: Callable[[AssignmentResult], None] | None = None,
) -> AssignmentResult:
    """Assign the scope's events to an account; return what was done. Raises as ``preview_assignment`` does.

    ``on_progress`` is told what was done so far after each chunk that was committed.
    """
    scope.check()
    with read_snapshot(engine) as connection:
        billed_to = _account(connection, account)
        examiner = UnassignedInspector(billed_to, PriceBook(load_tables(connection)), settings.declared_tags)
    index = SeriesIndex(engine, settings.series_cap)
    done = AssignmentResult()
    after: EventPosition | None = None
    while True:
        # Looked for without the write lock, because that reads all that is unassigned; what was found is looked at again.
        with read_snapshot(engine) as connection:
            positions = unassigned_positions(connection, scope, after, CHUNK)
            waiting = examiner.look(connection, [position.event_id for position in positions])
        if not positions:
            return done
        index.prepare(each.wanted for each in waiting)
        with exclusive_write(engine) as connection:
            chunk = _assign(connection, billed_to, filter_unassigned(connection, waiting), index, clock())
        done.include(chunk)
        after = positions[-1]
        if on_progress is not None:
            on_progress(done)


def _assign(
    connection: Connection, billed_to: BillingAccount, waiting: list[UnassignedEvent], index: SeriesIndex, now: int
) -> AssignmentResult:
    found = AssignmentResult()
    if not waiting:
        return found
    account_id = billed_to.account_id
    closed_through = lock_open_months(connection, {account_id}, now=now).last or None
    counted = claim_in_account(connection, account_id, waiting)
    write_assignment(
        connection, waiting, counted, lambda each: index.find(each.wanted)[0], closed_through=closed_through, now=now
    )
    _include(found, waiting, counted, closed_through)
    return found


def _include(
    found: AssignmentResult, waiting: list[UnassignedEvent], counted: AccountMatches, closed_through: int | None
) -> None:
    for each in waiting:
        assigned = counted.assigned.get(each.row.id)
        if assigned is None:
            found.conflicts += 1
        elif assigned.is_counted:
            found.move(*each.moved(closed_through))
        else:
            found.repeats += 1
            found.repeats_nano += each.entry.amount_nano


def _chunks(connection: Connection, scope: AssignmentScope) -> Iterator[list[int]]:
    after: EventPosition | None = None
    while positions := unassigned_positions(connection, scope, after, CHUNK):
        yield [position.event_id for position in positions]
        after = positions[-1]


def _account(connection: Connection, name: str) -> BillingAccount:
    account = find_account(connection, name)
    if account.id == UNASSIGNED_ID:
        raise DomainError(f"{UNASSIGNED_NAME!r} holds what nobody has declared; name the account that the usage belongs to")
    return BillingAccount(account.id, account.default_route)
