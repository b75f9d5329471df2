"""Closed statements match the facts, line by line, and add up; the credit ledger is never overdrawn.

A statement is computed again from the charges billed in its month, the adjustments, the credit entries that existed, and the
plan's terms at that time. Descriptions of lines are not compared: their wording may change between releases.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.accounts.accounts import Account
from metering.domain.credits.credit_ledger import EntryKind
from metering.domain.instants import format_month, next_month
from metering.domain.statements.account_books import AccountBooks, closed_month
from metering.domain.statements.statement_record import (
    StatementRecord,
    canonical_form,
    digest_of,
    figures_of,
    plan_of,
    read_record,
    record_of,
)
from metering.domain.statements.statements import Flag, StatementLineKind
from metering.domain.violations import Violation
from metering.operations.steps.read_books import draft_of, read_books
from metering.operations.upkeep.check_sums import Step
from metering.storage.accounts.accounts import account_with_id
from metering.storage.credits.credits import accounts_with_grants, grants_of, ledger_of
from metering.storage.statements.closed_months import closed_through_by_account
from metering.storage.statements.statements import ClosedStatement, accounts_with_statements, statements_of
from metering.storage.usage.retired_months import retired_events
from pricing.money import PICO_PER_CENT, PICO_PER_USD, parse_usd


def statements_match_facts(connection: Connection, step: Step) -> Iterator[Violation]:
    """Every closed statement has its digest, adds up and matches the facts; months are closed in order."""
    marks = closed_through_by_account(connection)
    accounts = sorted({*marks, *accounts_with_statements(connection)})
    for done, account_id in enumerate(accounts):
        stored = statements_of(connection, account_id)
        yield from _in_order(account_id, stored, marks.get(account_id))
        account = account_with_id(connection, account_id)
        books = read_books(connection, account_id)
        carried = 0
        for closed in stored:
            if account is not None:
                yield from _matches_facts(connection, account, books, closed, carried)
            carried = closed.carried_cents
        step(done + 1, len(accounts))


def ledger_is_never_overdrawn(connection: Connection) -> Iterator[Violation]:
    """Every grant is granted once, in full, and no entry takes more of it than is left."""
    for account_id in accounts_with_grants(connection):
        grants = grants_of(connection, account_id)
        left: defaultdict[int, int] = defaultdict(int)
        given: defaultdict[int, int] = defaultdict(int)
        for entry in ledger_of(connection, account_id, grants):
            left[entry.grant.id] += entry.amount_nano
            if entry.kind is EntryKind.GRANT:
                given[entry.grant.id] += entry.amount_nano
            if left[entry.grant.id] < 0:
                message = f"credit entry {entry.id} takes more of grant {entry.grant.id} than is left"
                yield Violation("credits_overdrawn", f"entry {entry.id}", "0 or more", str(left[entry.grant.id]), message)
        for grant in grants:
            if given[grant.id] != grant.amount_nano:
                message = f"the ledger's entry for grant {grant.id} differs from the grant (nano-USD)"
                yield Violation("grant_differs", f"grant {grant.id}", str(grant.amount_nano), str(given[grant.id]), message)


def _in_order(account_id: int, stored: Sequence[ClosedStatement], closed_through: int | None) -> Iterator[Violation]:
    where = f"account {account_id}"
    for before, closed in pairwise(stored):
        if closed.month != next_month(before.month):
            expected, got = format_month(next_month(before.month)), format_month(closed.month)
            yield Violation("statement_missing", where, expected, got, f"a closed month of {where} has no statement")
    last = stored[-1].month if stored else None
    if last != closed_through:
        message = f"the last closed month of {where} is not the month of its last statement"
        expected, got = ("none" if month is None else format_month(month) for month in (last, closed_through))
        yield Violation("closed_through_differs", where, expected, got, message)


def _matches_facts(
    connection: Connection, account: Account, books: AccountBooks, closed: ClosedStatement, carried_in: int
) -> Iterator[Violation]:
    where = f"account {account.id}, {format_month(closed.month)}"
    digest = digest_of(closed.content.encode())
    if digest != closed.digest:
        yield Violation("statement_digest_differs", where, closed.digest, digest, f"the statement of {where} was changed")
    try:
        record = read_record(closed.content.encode())
        again = closed_month(books, closed.month, plan_of(record), last_entry=closed.last_entry_id, carried_in_cents=carried_in)
        recomputed = record_of(draft_of(connection, account, again), closed.closed_at)
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        yield Violation("statement_unreadable", where, "a statement", str(error), f"the statement of {where} cannot be read")
        return
    yield from _adds_up(where, record)
    kept = (closed.total_cents, closed.carried_cents)
    if kept != (record.total_cents, record.carried_out_cents):
        message = f"the totals of the statement of {where} differ from its content"
        yield Violation("statement_differs", where, f"{record.total_cents}, {record.carried_out_cents}", str(kept), message)
    kept_figures, figures = figures_of(record), figures_of(recomputed)
    if any(month < closed.month for month in retired_events(connection)):
        # Which usage had no price at that time follows from charges that were retired with their events.
        kept_figures, figures = _without_unpriced(kept_figures), _without_unpriced(figures)
    yield from _differences(where, kept_figures, figures)


def _without_unpriced(record: StatementRecord) -> StatementRecord:
    return replace(record, unpriced=[], flags=[flag for flag in record.flags if flag != Flag.UNPRICED_USAGE])


def _adds_up(where: str, record: StatementRecord) -> Iterator[Violation]:
    """The lines before the total add up to it, and the total is what is owed, never less than zero."""
    amounts = [parse_usd(line.amount_usd, unit_per_usd=PICO_PER_USD) for line in record.lines if line.amount_usd is not None]
    *parts, total = amounts or [0]
    if sum(parts) != total or total != record.total_cents * PICO_PER_CENT or record.lines[-1].kind != StatementLineKind.TOTAL:
        message = f"the lines of the statement of {where} do not add up to its total (pico-USD)"
        yield Violation("statement_does_not_add_up", where, str(sum(parts)), str(total), message)


def _differences(where: str, kept: StatementRecord, recomputed: StatementRecord) -> Iterator[Violation]:
    if canonical_form(kept) == canonical_form(recomputed):
        return
    for name in StatementRecord.__struct_fields__:
        got, expected = getattr(kept, name), getattr(recomputed, name)
        if got != expected:
            message = f"the {name.replace('_', ' ')} of the statement of {where} differ from the facts"
            yield Violation("statement_differs", where, _as_json(expected), _as_json(got), message)


def _as_json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()[:500]
