"""Invoices for tests: written as CSV, imported, and reconciled with the usage in a meter's database."""

import io
from typing import Any

from metering.domain.reconciliation.variances import Tolerance
from metering.invoices.reading import ReadOptions
from metering.operations.reconciliation.import_invoice import InvoiceOrder, import_invoice
from metering.operations.reconciliation.reconcile import reconcile
from pricing.bundled import bundled_plans
from support.builders import instant

START, END = instant("2026-11-01T00:00:00Z"), instant("2026-12-01T00:00:00Z")
AFTER = instant("2026-12-05T00:00:00Z")
EXACT = Tolerance(nano=0)


def csv_of(*rows: dict[str, Any]) -> bytes:
    """Return rows as CSV, each with all columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in rows)]
    return "\n".join(lines).encode() + b"\n"


def import_bill(meter, content: bytes, *, account="acme", now=AFTER, start=START, end=END, **order):
    """Import a document; return the result."""
    options = order.pop("options", ReadOptions(biller=order.pop("biller", "huggingface"), start=start, end=end))
    return import_invoice(meter.engine, io.BytesIO(content), InvoiceOrder(account=account, options=options, **order), now=now)


def reconciled(meter, content, *, tolerance=EXACT, now=AFTER, **order):
    """Import an invoice from rows, or from the bytes of a document, and reconcile it; return the report."""
    raw = content if isinstance(content, bytes) else csv_of(*content)
    invoice = import_bill(meter, raw, now=now, **order).invoice
    return reconcile(meter.engine, invoice.id, bundled_plans(), tolerance=tolerance, now=now)


def steps(report) -> dict[str, int]:
    """Return the bridge by cause; its steps must add up to the difference."""
    bridge = report.bridge
    assert bridge.ours_nano + sum(step.amount_nano for step in bridge.steps) == bridge.theirs_nano
    return {str(step.cause): step.amount_nano for step in bridge.steps}
