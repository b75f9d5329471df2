"""Amounts booked as rounding are small enough to be rounding, given the slack of the invoice and the charges."""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.reconciliation.other_lines import OF_THE_TOTAL
from metering.domain.reconciliation.rounding import is_rounding, run_slack, total_slack
from metering.domain.violations import Violation
from metering.storage.reconciliation.reconciliations import rounding_variances


def rounding_is_within_slack(connection: Connection) -> Iterator[Violation]:
    """Yield the variances booked as rounding whose amounts are larger than rounding can explain."""
    for each in rounding_variances(connection):
        if each.detail == OF_THE_TOTAL:
            slack = total_slack(each.lines, each.unit_nano)
        else:
            slack = run_slack(lines=each.lines, unit_nano=each.unit_nano, requests=each.requests)
        if not is_rounding(each.amount_nano, slack):
            message = f"variance {each.id} is booked as rounding, but rounding cannot explain its amount"
            expected = f"at most {slack} nano-USD"
            yield Violation("rounding_exceeds_slack", f"variance {each.id}", expected, f"{each.amount_nano} nano-USD", message)
