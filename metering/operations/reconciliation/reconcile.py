"""Reconcile: compare an invoice with metered usage, record what differs and why, and alert on variances that need attention.

A decision from an earlier run, of this invoice or of one that it supersedes, carries over if the same cause has the same
amount. If the amount has changed, the variance is open again and its reason repeats the earlier decision.
"""

import json
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import format_instant
from metering.domain.reconciliation.bridge import Bridge, BridgeStep, build_bridge
from metering.domain.reconciliation.causes import ORDER, Cause
from metering.domain.reconciliation.explain_groups import StatementTotal
from metering.domain.reconciliation.findings import Finding, Items
from metering.domain.reconciliation.readings import OurStatement, TotalReading
from metering.domain.reconciliation.records import Invoice, Reconciliation, ReconciliationReport, Variance, VarianceKey
from metering.domain.reconciliation.variances import (
    RECONCILE,
    Tolerance,
    VarianceState,
    first_state,
    needs_attention,
    tolerated,
)
from metering.operations.reconciliation.compare_invoice import compare_invoice
from metering.operations.reconciliation.comparison import Comparison
from metering.operations.reconciliation.find_invoice import find_invoice
from metering.operations.reconciliation.newest_variances import newest_run, newest_variances
from metering.operations.reconciliation.our_statement import our_statement
from metering.operations.reconciliation.reconcile_settings import DEFAULT_SETTINGS, ReconcileSettings
from metering.operations.steps.pause_collector import collector_paused
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.alerts.alerts import NewAlert
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.reconciliation.reconciliations import (
    NewDecision,
    NewReconciliation,
    NewVariance,
    insert_decision,
    insert_reconciliation,
    insert_variance,
    list_reconciliations,
    reconciliation_with_id,
    variances_of,
)
from pricing.dollars import display_nano
from pricing.plans import PlanCatalog

VARIANCE_FOUND = "reconciliation.variance_found"
MAX_REASON = 255
MAX_VARIANCES_IN_ALERT = 20


def reconcile(
    engine: Engine,
    invoice_id: int,
    catalog: PlanCatalog,
    *,
    tolerance: Tolerance | None = None,
    settings: ReconcileSettings = DEFAULT_SETTINGS,
    reading: TotalReading | None = None,
    now: int,
) -> ReconciliationReport:
    """Compare an invoice with metered usage as it is now; record and return the result.

    ``tolerance`` overrides that of the settings for the invoice's format. ``reading`` is what a pasted total adds up, from now
    on; None: as chosen before, if so. Raises NotFoundError, and DomainError for an invoice that another one supersedes, or that
    has no such reading.
    """
    with collector_paused(), read_snapshot(engine) as connection:
        invoice = find_invoice(connection, invoice_id)
        if invoice.superseded_by is not None:
            raise DomainError(f"invoice {invoice.id} is superseded by {invoice.superseded_by}; reconcile that one")
        statement = our_statement(connection, invoice, catalog, now=now)
        chosen = _reading(connection, invoice, statement, reading)
        comparison = compare_invoice(connection, invoice, catalog, StatementTotal(statement, chosen))
    findings = comparison.findings.sorted()
    build_bridge(comparison.ours_nano, comparison.theirs_nano, findings)
    allowed = settings.tolerance_of(invoice.format) if tolerance is None else tolerance
    with collector_paused(), exclusive_write(engine) as connection:
        earlier = {each.key: each for each in newest_variances(connection, invoice)}
        run = _run_of(invoice, comparison, allowed, chosen, now)
        run_id = _record(connection, findings, run, earlier)
        report = _report(connection, run_id)
        _alert(connection, report, earlier.values(), now)
    return report


def show_reconciliation(engine: Engine, run_id: int, *, account_id: int | None = None) -> ReconciliationReport:
    """Return a run with the latest decisions; with ``account_id`` only that account's. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _report(connection, run_id, account_id=account_id)


def list_runs(
    engine: Engine, *, account_id: int | None = None, before: int | None = None, limit: int | None = None
) -> list[Reconciliation]:
    """Return runs with ids below ``before``, newest first; of one account, if given."""
    with read_snapshot(engine) as connection:
        return list_reconciliations(connection, account_id=account_id, before=before, limit=limit)


def _reading(connection: Connection, invoice: Invoice, statement: OurStatement | None, reading: TotalReading | None) -> str:
    """Return the reading to compare a total with; empty if none is chosen. Raises DomainError for one that cannot be."""
    if statement is None:
        if reading is not None:
            raise DomainError(
                f"invoice {invoice.id} has only one reading; a pasted total of huggingface for a whole month has two"
            )
        return ""
    before = newest_run(connection, invoice)
    chosen = "" if before is None else before.reading
    if reading is None or reading == chosen:
        return chosen
    if any(each.corrected_nano for each in newest_variances(connection, invoice)) and chosen:
        raise DomainError(
            f"statements are already corrected by invoice {invoice.id}, read as {chosen}; undo that with `metering statements"
            " adjust` before you choose another reading"
        )
    return reading


def _run_of(invoice: Invoice, comparison: Comparison, tolerance: Tolerance, reading: str, now: int) -> NewReconciliation:
    return NewReconciliation(
        invoice_id=invoice.id,
        account_id=invoice.account_id,
        run_at=now,
        ours_nano=comparison.ours_nano,
        theirs_nano=comparison.theirs_nano,
        requests=comparison.requests,
        matched_requests=comparison.matched_requests,
        usage_nano=comparison.usage_nano,
        matched_nano=comparison.matched_nano,
        valued=int(comparison.valued),
        tolerance_nano=tolerance.of(comparison.theirs_nano),
        reading=reading,
        statement_nano=comparison.statement_nano,
    )


def _record(
    connection: Connection,
    findings: list[Finding],
    run: NewReconciliation,
    earlier: Mapping[VarianceKey, Variance],
) -> int:
    run_id = insert_reconciliation(connection, run)
    small = tolerated(findings, run.tolerance_nano)
    written: set[VarianceKey] = set()
    for at, each in enumerate(findings):
        if not len(each.items):
            continue
        variance = NewVariance(
            *each.key,
            basis=each.basis,
            amount_nano=each.amount_nano,
            items=len(each.items),
            tolerated=int(at in small),
            alternatives=each.alternatives,
        )
        variance_id = insert_variance(connection, run_id, variance, each.items)
        insert_decision(connection, _first_decision(variance_id, variance, earlier.get(variance.key), run.run_at))
        written.add(variance.key)
    _record_leftovers(connection, run_id, earlier, written, run.run_at)
    return run_id


def _first_decision(variance_id: int, variance: NewVariance, before: Variance | None, now: int) -> NewDecision:
    if before is None or before.who == RECONCILE:
        state = first_state(Cause(variance.cause))
        reason = "expected on an invoice" if state is VarianceState.EXPLAINED else "found"
        decision = NewDecision(variance_id, state, RECONCILE, reason, now)
    elif (before.amount_nano, before.items) == (variance.amount_nano, variance.items):
        decision = NewDecision(variance_id, before.state, before.who, before.reason, before.decided_at)
    else:
        reason = f"was {before.state} at {display_nano(before.amount_nano)} USD by {before.who}: {before.reason}"
        decision = NewDecision(variance_id, VarianceState.OPEN, RECONCILE, reason[:MAX_REASON], now)
    if before is not None:
        decision = decision._replace(corrected_nano=before.corrected_nano, adjustment=before.adjustment)
    return decision


def _record_leftovers(
    connection: Connection, run_id: int, earlier: Mapping[VarianceKey, Variance], written: set[VarianceKey], now: int
) -> None:
    """Record an open variance of 0 for each corrected difference that is gone: a decision must reverse the correction."""
    for key, before in earlier.items():
        if key in written or not before.corrected_nano:
            continue
        variance = NewVariance(*before.key, basis=before.basis, amount_nano=0, items=0, tolerated=0, alternatives=())
        variance_id = insert_variance(connection, run_id, variance, Items())
        reason = (
            f"there is no difference anymore, but statements were corrected by {display_nano(before.corrected_nano)} USD;"
            f" accept it with a correction to reverse that ({before.adjustment})"
        )
        decision = NewDecision(variance_id, VarianceState.OPEN, RECONCILE, reason[:MAX_REASON], now)
        insert_decision(connection, decision._replace(corrected_nano=before.corrected_nano, adjustment=before.adjustment))


def _report(connection: Connection, run_id: int, *, account_id: int | None = None) -> ReconciliationReport:
    run = reconciliation_with_id(connection, run_id)
    if run is None or account_id not in (None, run.account_id):
        raise NotFoundError(f"there is no reconciliation {run_id}; `metering reconcile show` lists the newest of each invoice")
    variances = tuple(variances_of(connection, run_id))
    return ReconciliationReport(run, find_invoice(connection, run.invoice_id), variances, _bridge(run, variances))


def _bridge(run: Reconciliation, variances: tuple[Variance, ...]) -> Bridge:
    by_cause = {cause: [each for each in variances if each.cause == cause] for cause in ORDER}
    steps = tuple(
        BridgeStep(cause, sum(each.amount_nano for each in members), sum(each.items for each in members))
        for cause, members in by_cause.items()
        if any(each.items for each in members)
    )
    return Bridge(run.ours_nano, run.theirs_nano, steps)


def _alert(connection: Connection, report: ReconciliationReport, earlier: Iterable[Variance], now: int) -> None:
    """Raise an alert on the variances that need attention, unless the run before left all of them with the same amounts."""
    waiting = report.needs_attention
    reported = {(each.key, each.amount_nano) for each in earlier if needs_attention(each.state, is_tolerated=each.tolerated)}
    if all((each.key, each.amount_nano) in reported for each in waiting):
        return
    data = {
        "reconciliation": report.run.id,
        "invoice": report.invoice.id,
        "biller": report.invoice.biller,
        "period_start": format_instant(report.invoice.start),
        "period_end": format_instant(report.invoice.end),
        "ours_nano_usd": report.run.ours_nano,
        "theirs_nano_usd": report.run.theirs_nano,
        "difference_nano_usd": report.bridge.difference_nano,
        "open": [
            {"variance": each.id, "cause": each.cause, "amount_nano_usd": each.amount_nano, "items": each.items}
            for each in sorted(waiting, key=lambda each: -abs(each.amount_nano))[:MAX_VARIANCES_IN_ALERT]
        ],
    }
    alert = NewAlert(
        type=VARIANCE_FOUND,
        subject=f"reconciliation:{report.run.id}",
        occurred_at=now,
        data=json.dumps(data),
        period=f"{format_instant(report.invoice.start)}/{format_instant(report.invoice.end)}",
        account_id=report.run.account_id,
    )
    raise_alert(connection, alert, now=now)
