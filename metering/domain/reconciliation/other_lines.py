"""Lines other than usage, and a total that differs from the sum of the lines: each a step of the bridge."""

from collections.abc import Mapping

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.findings import FindingKey, FindingLocation, Findings, Item
from metering.domain.reconciliation.invoices import InvoiceLineKind
from metering.domain.reconciliation.rounding import is_rounding, total_slack

OF_THE_TOTAL = "of the total"
"""The detail of findings about the total."""

_CAUSES = {InvoiceLineKind.CREDIT: Cause.CREDITS, InvoiceLineKind.FEE: Cause.FEE, InvoiceLineKind.TAX: Cause.TAX}


def add_other_lines(findings: Findings, amounts: Mapping[str, int]) -> None:
    """Add the sum of the lines of each kind other than usage, which is matched elsewhere."""
    for kind, cause in _CAUSES.items():
        amount = amounts.get(kind, 0)
        findings.add(FindingKey(cause), Item(None, None, None, amount, amount))


def add_total(findings: Findings, *, lines_nano: int, total_nano: int, lines: int, unit_nano: int) -> None:
    """Add the difference between an invoice's total and the sum of its lines.

    Beyond what rounding explains, it is a mistake on the invoice, or an amount that no line shows.
    """
    item = Item(None, None, lines_nano, total_nano, total_nano - lines_nano)
    slack = total_slack(lines, unit_nano)
    if is_rounding(item.amount_nano, slack):
        findings.add_rounding(FindingLocation(), item, slack_nano=slack, detail=OF_THE_TOTAL)
    else:
        findings.add(FindingKey(Cause.TOTAL_MISMATCH, OF_THE_TOTAL), item)
