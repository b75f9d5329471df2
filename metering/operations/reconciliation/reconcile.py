"""Reconcile: hold an invoice against our usage, record what differs and why, and alert on what somebody has to look at.

What was decided about a variance in an earlier run, of this invoice or of one that it supersedes, still holds where the same
cause comes to the same amount; where the amount is another, the variance is open again and says what it was.
"""

import json
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import format_instant
from metering.domain.reconciliation.bridge import Bridge, BridgeStep, build_bridge
from metering.domain.reconciliation.causes import ORDER, Cause
from metering.domain.reconciliation.findings import Finding, Items
from metering.domain.reconciliation.records import Invoice, Reconciliation, ReconciliationReport, Variance, VarianceKey
from metering.domain.reconciliation.variances import (
    WHO_RECONCILES,
    Tolerance,
    VarianceState,
    first_state,
    needs_attention,
    tolerated,
)
from metering.operations.reconciliation.compare_invoice import compare_invoice
from metering.operations.reconciliation.comparison import Comparison
from metering.operations.reconciliation.newest_variances import newest_variances
from metering.operations.steps.pause_collector import collector_paused
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.alerts.alerts import NewAlert
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.reconciliation.invoices import invoice_with_id
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
from pricing.plans import PlanCatalogue

VARIANCE_FOUND = "reconciliation.variance_found"
LONGEST_REASON = 255


def reconcile(
    engine: Engine, invoice_id: int, catalogue: PlanCatalogue, *, tolerance: Tolerance, now: int
) -> ReconciliationReport:
    """Hold an invoice against our usage as it is now; record and return what is found.

    Raises NotFoundError, and DomainError for an invoice that another one supersedes.
    """
    with collector_paused(), read_snapshot(engine) as connection:
        invoice = _invoice(connection, invoice_id)
        if invoice.superseded_by is not None:
            raise DomainError(f"invoice {invoice.id} is superseded by {invoice.superseded_by}: reconcile that one")
        found = compare_invoice(connection, invoice, catalogue)
    findings = found.findings.sorted()
    build_bridge(found.ours_nano, found.theirs_nano, findings)
    with collector_paused(), exclusive_write(engine) as connection:
        earlier = {each.key: each for each in newest_variances(connection, invoice)}
        run = _run_of(invoice, found, tolerance, now)
        run_id = _record(connection, findings, run, earlier)
        report = _report(connection, run_id)
        _alert(connection, report, earlier.values(), now)
    return report


def show_reconciliation(engine: Engine, run_id: int) -> ReconciliationReport:
    """Return a run. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _report(connection, run_id)


def list_runs(
    engine: Engine, *, account_id: int | None = None, before: int | None = None, limit: int | None = None
) -> list[Reconciliation]:
    """Return runs, newest first, with ids below ``before``."""
    with read_snapshot(engine) as connection:
        return list_reconciliations(connection, account_id=account_id, before=before, limit=limit)


def _run_of(invoice: Invoice, found: Comparison, tolerance: Tolerance, now: int) -> NewReconciliation:
    return NewReconciliation(
        invoice_id=invoice.id,
        account_id=invoice.account_id,
        run_at=now,
        ours_nano=found.ours_nano,
        theirs_nano=found.theirs_nano,
        requests=found.requests,
        matched_requests=found.matched_requests,
        usage_nano=found.usage_nano,
        matched_nano=found.matched_nano,
        valued=int(found.valued),
        tolerance_nano=tolerance.of(found.theirs_nano),
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
    if before is None or before.who == WHO_RECONCILES:
        state = first_state(Cause(variance.cause))
        said = "expected on a bill" if state is VarianceState.EXPLAINED else "found"
        decision = NewDecision(variance_id, state, WHO_RECONCILES, said, now)
    elif (before.amount_nano, before.items) == (variance.amount_nano, variance.items):
        decision = NewDecision(variance_id, before.state, before.who, before.reason, before.decided_at)
    else:
        said = f"was {before.state} at {display_nano(before.amount_nano)} USD by {before.who}: {before.reason}"
        decision = NewDecision(variance_id, VarianceState.OPEN, WHO_RECONCILES, said[:LONGEST_REASON], now)
    if before is not None:
        decision = decision._replace(corrected_nano=before.corrected_nano, adjustment=before.adjustment)
    return decision


def _record_leftovers(
    connection: Connection, run_id: int, earlier: Mapping[VarianceKey, Variance], found: set[VarianceKey], now: int
) -> None:
    """Record what was corrected and differs no longer: the correction is to be taken back, and somebody has to say so."""
    for key, before in earlier.items():
        if key in found or not before.corrected_nano:
            continue
        variance = NewVariance(*before.key, basis=before.basis, amount_nano=0, items=0, tolerated=0, alternatives=())
        variance_id = insert_variance(connection, run_id, variance, Items())
        said = (
            f"nothing differs any more, and statements were corrected by {display_nano(before.corrected_nano)} USD:"
            f" accepting it with a correction takes that back ({before.adjustment})"
        )
        decision = NewDecision(variance_id, VarianceState.OPEN, WHO_RECONCILES, said[:LONGEST_REASON], now)
        insert_decision(connection, decision._replace(corrected_nano=before.corrected_nano, adjustment=before.adjustment))


def _report(connection: Connection, run_id: int) -> ReconciliationReport:
    run = reconciliation_with_id(connection, run_id)
    if run is None:
        raise NotFoundError(f"there is no reconciliation {run_id}")
    found = tuple(variances_of(connection, run_id))
    return ReconciliationReport(run, _invoice(connection, run.invoice_id), found, _bridge(run, found))


def _bridge(run: Reconciliation, found: tuple[Variance, ...]) -> Bridge:
    by_cause = {cause: [each for each in found if each.cause == cause] for cause in ORDER}
    steps = tuple(
        BridgeStep(cause, sum(each.amount_nano for each in members), sum(each.items for each in members))
        for cause, members in by_cause.items()
        if any(each.items for each in members)
    )
    return Bridge(run.ours_nano, run.theirs_nano, steps)


def _invoice(connection: Connection, invoice_id: int) -> Invoice:
    invoice = invoice_with_id(connection, invoice_id)
    if invoice is None:
        raise NotFoundError(f"there is no invoice {invoice_id}")
    return invoice


def _alert(connection: Connection, report: ReconciliationReport, earlier: Iterable[Variance], now: int) -> None:
    """Raise an alert on what a run leaves to somebody; one that finds what the run before left has nothing new to say."""
    waiting = report.needs_attention
    left_before = {(each.key, each.amount_nano) for each in earlier if needs_attention(each.state, is_tolerated=each.tolerated)}
    if all((each.key, each.amount_nano) in left_before for each in waiting):
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
            for each in sorted(waiting, key=lambda each: -abs(each.amount_nano))[:20]
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
