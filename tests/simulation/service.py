"""The service in a simulated scenario: its operations on a real database, with answers in the form of the oracle's.

An operation can be interrupted before its n-th SQL statement, or before its commit if it has fewer. The process then restarts
and repeats it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from msgspec.structs import asdict
from sqlalchemy import Connection, Engine, event, select

from metering.domain.accounts.plan_history import PlanChange
from metering.domain.charges.corrections import (
    CorrectedUsage,
    CorrectionChanges,
    CorrectionRun,
    CorrectionScope,
    CorrectionSummary,
)
from metering.domain.charges.rerating import RerateScope
from metering.domain.credits.credit_ledger import CreditMovement
from metering.domain.credits.credits import INCLUDED, CreditGrant
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.statements.close_failure import CloseFailure
from metering.domain.statements.statements import Statement
from metering.domain.usage.conflicts import Conflict
from metering.domain.usage.events import QuantityGrade, UsageEvent
from metering.domain.usage.outcomes import Outcome
from metering.domain.violations import Violation
from metering.operations.accounts.manage_accounts import declare_account, show_account
from metering.operations.accounts.manage_plans import set_plan
from metering.operations.alerts.list_alerts import list_alerts
from metering.operations.charges.correct_usage import (
    continue_correction,
    list_corrections,
    preview_correction,
    start_correction,
    start_undo,
)
from metering.operations.charges.rate_unpriced import rate_unpriced
from metering.operations.charges.rerate import continue_rerate, start_rerate
from metering.operations.credits.adjust_account import adjust_account
from metering.operations.credits.grant_credits import grant_credits, record_used_elsewhere
from metering.operations.credits.show_credit_ledger import credits_at, show_ledger
from metering.operations.credits.void_credits import void_credits
from metering.operations.prices.import_prices import PriceSheet, import_prices
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import STATEMENT_CLOSED, CloseOptions, close_month
from metering.operations.statements.close_settings import DEFAULT_GRACE_HOURS
from metering.operations.statements.show_statement import show_statement
from metering.operations.upkeep.verify import Check, verify
from metering.operations.usage.ingest import Ingester, IngestSettings, Origin
from metering.operations.usage.resolve_conflicts import accept_conflict, dismiss_conflict, list_conflicts
from metering.storage.credits.credits import OverdrawnGrant, overdrawn_grants
from metering.storage.engine.database import read_snapshot
from metering.storage.tables import statements
from pricing.errors import PricingError
from pricing.plans import PlanCatalog, PlanTerms
from pricing.quantities import Quantities
from simulation.scenario import (
    CATALOG,
    Action,
    Adjust,
    Close,
    CloseDue,
    Correct,
    Decide,
    Grant,
    Ingest,
    Price,
    RateUnpriced,
    Record,
    RecordElsewhere,
    Rerate,
    SetPlan,
    Step,
    Undo,
    Void,
    Withdraw,
    conflict_order,
)
from support.builders import batch_of
from support.presence import present

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 4_102_444_800_000_000
PLANS = PlanCatalog(
    PlanTerms(
        plan=row.plan, effective_from=row.since, rank=row.rank, per_seat=row.per_seat, fee_cents=row.fee_cents,
        included_credit_nano=row.credit_nano, pay_as_you_go=row.invoiced, credits_pay_elsewhere=row.pays_elsewhere,
        source="simulated",
    )
    for row in CATALOG
)  # fmt: skip
_BILLED = """
    SELECT series.account_id, SUM(amounts.nano)
    FROM (
        SELECT series_id, charge_nano AS nano FROM events WHERE charge_nano IS NOT NULL
        UNION ALL SELECT series_id, amount_nano FROM charges
    ) AS amounts
    JOIN series ON series.id = amounts.series_id
    WHERE series.route IN ('routed', 'serverless')
    GROUP BY series.account_id
"""
OUTCOMES = (Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.COPY, Outcome.COMPLETED, Outcome.CONFLICT)


class InterruptedRunError(Exception):
    """Simulates a process that ends during a transaction."""


def micros(instant: datetime) -> int:
    """Return microseconds since 1970."""
    return (instant - EPOCH) // timedelta(microseconds=1)


class Service:
    """One database and the process that works on it."""

    def __init__(self, engine: Engine, accounts: tuple[tuple[str, str], ...], at: datetime) -> None:
        self.engine = engine
        self.now = micros(at)
        self.runs: list[int] = []
        self.decided: set[int] = set()
        self.restart()
        for name, route in accounts:
            declare_account(self.engine, name, default_route=route, now=self.now)
        self.ids = {name: show_account(self.engine, name).id for name, _ in accounts}

    def restart(self) -> None:
        """Restart with nothing but the database. The engine keeps only its cache of compiled statements."""
        self.engine.dispose()
        self.ingester = Ingester(self.engine, IngestSettings(), lambda: self.now)

    def do(self, step: Step) -> str:
        """Do a step, interrupted and repeated if it asks for that; return the answer, or the code of the error."""
        self.now = micros(step.at)
        if step.interrupted_at is not None:
            try:
                with interrupted(self.engine, step.interrupted_at):
                    return self._answer(step.action)
            except InterruptedRunError:
                self.restart()
        return self._answer(step.action)

    def statement(self, account: str, month: int) -> Statement:
        """Return a closed or draft statement."""
        return show_statement(self.engine, account, month, PLANS)

    def closed(self) -> dict[tuple[str, int], tuple[str, str]]:
        """Return all closed statements as stored: content and digest by account and month."""
        names = {account_id: name for name, account_id in self.ids.items()}
        columns = statements.c.account_id, statements.c.month, statements.c.content, statements.c.digest
        with read_snapshot(self.engine) as connection:
            return {(names[row[0]], row[1]): (row[2], row[3]) for row in connection.execute(select(*columns))}

    def overdrawn(self) -> list[OverdrawnGrant]:
        """Return the overdrawn grants."""
        with read_snapshot(self.engine) as connection:
            return overdrawn_grants(connection)

    def ledger(self, account: str) -> list[CreditMovement]:
        """Return every entry of an account's credit ledger."""
        return show_ledger(self.engine, account)

    def balance(self, account: str, at: datetime) -> dict[str, int]:
        """Return what is left of each grant at an instant."""
        left = credits_at(self.engine, account, micros(at), PLANS)
        return {each.grant.reference or INCLUDED: each.left_nano for each in left.grants}

    def closed_alerts(self) -> list[tuple[str, int]]:
        """Return the (account, month) pairs of all alerts about closed statements."""
        names = {account_id: name for name, account_id in self.ids.items()}
        alerts = list_alerts(self.engine, type_=STATEMENT_CLOSED, limit=1_000)
        return sorted((names[present(alert.account_id)], int(alert.period.replace("-", ""))) for alert in alerts)

    def billed(self) -> dict[str, int]:
        """Return the sum of all charges that Hugging Face bills, by account."""
        with read_snapshot(self.engine) as connection:
            sums = {row[0]: int(row[1]) for row in connection.exec_driver_sql(_BILLED)}
        return {name: sums.get(account_id, 0) for name, account_id in self.ids.items()}

    def violations(self, checks: tuple[Check, ...]) -> list[Violation]:
        """Return what ``metering verify`` finds."""
        return verify(self.engine, checks=checks)

    def _answer(self, action: Action) -> str:
        try:
            return self._do(action) or "done"
        except (DomainError, PricingError) as error:
            return error.code

    def _do(self, action: Action) -> str | None:
        engine, now = self.engine, self.now
        match action:
            case Ingest():
                return self._ingest(action)
            case Correct() | Withdraw() | Undo():
                return self._correct(action)
            case Decide():
                return self._decide(action)
            case SetPlan(account, day, plan, seats):
                set_plan(engine, account, PlanChange(day, plan, seats), PLANS, now=now)
            case Grant():
                expires_at = None if action.expires_at is None else micros(action.expires_at)
                grant = CreditGrant(0, action.kind, action.nano, micros(action.granted_at), expires_at, action.reference)
                grant_credits(engine, action.account, grant, now=now)
            case Void(account, reference, nano):
                entry = void_credits(engine, account, reference, nano, PLANS, reason="refund", now=now)
                return f"voided {-entry.amount_nano}"
            case RecordElsewhere(account, month, nano):
                record_used_elsewhere(engine, account, month, nano, reason="Spaces", now=now)
            case Adjust(account, month, nano, reference):
                adjust_account(engine, account, month, nano, reference=reference, reason="agreed", now=now)
            case Close(account, month, allow_unpriced, with_earlier):
                close_month(engine, account, month, CloseOptions(PLANS, allow_unpriced, with_earlier), now=now)
            case CloseDue(allow_unpriced):
                how = CloseOptions(PLANS, allow_unpriced)
                done = list(close_due_months(engine, how, grace_hours=DEFAULT_GRACE_HOURS, now=now))
                return str([(each.account, each.month, each.code) for each in done if isinstance(each, CloseFailure)])
            case _:
                self._charge(action)
        return None

    def _charge(self, action: Action) -> None:
        engine, now = self.engine, self.now
        match action:
            case Price():
                sheet = PriceSheet(_sheet(action).encode(), "sheet.csv", "csv", "sheet")
                import_prices(engine, sheet, account=action.account, rate=action.then_rate, now=now)
            case RateUnpriced(account):
                rate_unpriced(engine, now=now, account_id=self._id(account))
            case Rerate(account, include_reported):
                scope = RerateScope(self._id(account), 0, LATEST, include_reported=include_reported)
                run = start_rerate(engine, scope, reason="a better price", now=now)
                continue_rerate(engine, run.id, clock=lambda: self.now)
            case _:
                self.restart()

    def _correct(self, action: Correct | Withdraw | Undo) -> str:
        """Preview and run a correction; if one was interrupted, complete that."""
        stored = list_corrections(self.engine)
        preview: CorrectionSummary | None = None
        if len(stored) > len(self.runs):
            run = stored[-1]
        elif isinstance(action, Undo):
            if action.run >= len(self.runs):
                raise NotFoundError(f"there is no run {action.run}")
            run = start_undo(self.engine, self.runs[action.run], reason="", now=self.now)
        else:
            scope = self._scope(action)
            changes = CorrectionChanges(dict(action.changes)) if isinstance(action, Correct) else None
            preview = preview_correction(self.engine, scope, changes, IngestSettings())
            run = start_correction(self.engine, scope, changes, reason="a mistake", now=self.now)
        done = continue_correction(self.engine, run.id, IngestSettings(), clock=lambda: self.now).run
        self.runs.append(run.id)
        if preview is not None and _in_words(preview.total, preview.kept) != _in_words(done, done.events_kept):
            return f"the preview says {_in_words(preview.total, preview.kept)}"
        return _in_words(done, done.events_kept)

    def _scope(self, action: Correct | Withdraw) -> CorrectionScope:
        return CorrectionScope(
            account_id=self.ids[action.account],
            start=None if action.start is None else micros(action.start),
            end=micros(action.end) if isinstance(action, Correct) and action.end is not None else None,
            source=action.source if isinstance(action, Withdraw) else None,
            where=dict(action.where),
        )

    def _decide(self, action: Decide) -> str:
        conflicts, _ = list_conflicts(self.engine, IngestSettings(), with_decided=True)
        names = {account_id: name for name, account_id in self.ids.items()}
        conflicts.sort(key=lambda each: conflict_order(names.get(each.account_id, "unassigned"), _record(each)))
        if action.conflict >= len(conflicts):
            raise NotFoundError(f"there is no conflict {action.conflict}")
        found = conflicts[action.conflict]
        number = found.id
        if found.decision is not None and number not in self.decided:  # interrupted after the commit
            self.decided.add(number)
            return found.decision.value
        decide = accept_conflict if action.accept else dismiss_conflict
        decided = decide(self.engine, IngestSettings(), number, reason="looked at both", by="cli", now=self.now)
        self.decided.add(number)
        return present(decided.decision).value

    def _id(self, account: str | None) -> int | None:
        return None if account is None else self.ids[account]

    def _ingest(self, action: Ingest) -> str:
        batch = batch_of(*(_event(record) for record in action.records))
        result = self.ingester.ingest(batch, Origin("gateway"))
        return str({outcome.value: getattr(result, outcome.value) for outcome in OUTCOMES})


@contextmanager
def interrupted(engine: Engine, statement: int) -> Iterator[None]:
    """Interrupt what the engine does before its n-th statement, or before the commit if there are fewer."""
    count = 0

    def before_statement(*_: object) -> None:
        nonlocal count
        count += 1
        if count >= statement:
            raise InterruptedRunError

    def before_commit(_: Connection) -> None:
        nonlocal count
        count += 1
        if count >= statement:
            raise InterruptedRunError

    event.listen(engine, "before_cursor_execute", before_statement)
    event.listen(engine, "commit", before_commit)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", before_statement)
        event.remove(engine, "commit", before_commit)


def _event(record: Record) -> UsageEvent:
    return UsageEvent(
        id=record.id, source=record.source, time=micros(record.time), account=record.account, provider=record.provider,
        model=record.model, route=record.route, status=record.status, quantities=Quantities(**dict(record.quantities)),
        response_id=record.response_id, reported_cost_nano=record.reported_nano,
        quantity_grade=QuantityGrade[record.grade.upper()],
    )  # fmt: skip


def _record(conflict: Conflict) -> Record:
    """Return the fields of a conflicting record that conflicts are ordered by."""
    facts = conflict.record
    return Record(
        id=conflict.event_id, account="", time=EPOCH + timedelta(microseconds=facts.time), provider=facts.provider,
        model=facts.model, route=facts.route, status=facts.status, quantities=tuple(asdict(facts.quantities).items()),
        source=conflict.source,
    )  # fmt: skip


def _in_words(usage: CorrectionRun | CorrectedUsage, kept: int) -> str:
    changed = usage.events_changed if isinstance(usage, CorrectionRun) else usage.events
    return f"changed {changed}, kept {kept}, from {usage.before_nano} to {usage.after_nano}"


def _sheet(price: Price) -> str:
    rows = ["provider,model,quantity,usd,per,effective_from"]
    since = price.since.isoformat()
    if price.prices is None:
        rows.append(f"{price.provider},{price.model},,withdrawn,,{since}")
    for kind, (pico, block) in price.prices or ():
        quantity, per, per_usd = _UNITS[block](kind)
        usd = f"{pico // per_usd}.{pico % per_usd:0{len(str(per_usd)) - 1}}"
        rows.append(f"{price.provider},{price.model},{quantity},{usd},{per},{since}")
    return "\n".join([*rows, ""])


_UNITS = {
    1: lambda kind: (kind, "million", 10**6),
    3_600_000: lambda kind: (kind.removesuffix("_ms"), "hour", 10**12),
}
