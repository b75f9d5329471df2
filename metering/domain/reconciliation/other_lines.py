"""What a bill holds besides usage, and whether its total is the sum of its lines: each a step of its own."""

from collections.abc import Mapping

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.findings import FindingKey, Findings, Item
from metering.domain.reconciliation.invoices import InvoiceLineKind

_CAUSES = {InvoiceLineKind.CREDIT: Cause.CREDITS, InvoiceLineKind.FEE: Cause.FEE, InvoiceLineKind.TAX: Cause.TAX}


def add_other_lines(findings: Findings, amounts: Mapping[str, int]) -> None:
    """Add what the lines of each kind come to; usage is matched elsewhere."""
    for kind, cause in _CAUSES.items():
        amount = amounts.get(kind, 0)
        findings.add(FindingKey(cause), Item(None, None, None, amount, amount))


def add_total(findings: Findings, *, lines_nano: int, total_nano: int, lines: int, unit_nano: int) -> None:
    """Add the difference between the total that a bill states and the sum of its lines.

    Rounding explains less than a unit a line, and one for the total; what is beyond it is their mistake, or an amount that
    they do not show.
    """
    difference = total_nano - lines_nano
    bound = unit_nano * (lines + 1) if unit_nano > 1 else lines + 1
    cause = Cause.ROUNDING if abs(difference) <= bound else Cause.TOTAL_MISMATCH
    findings.add(FindingKey(cause, "of the total"), Item(None, None, lines_nano, total_nano, difference))
