"""A statement and a credit ledger of the service as the figures that the oracle computes."""

import re
from collections import Counter

from metering.domain.credits.credit_ledger import CreditMovement, EntryKind
from metering.domain.credits.credits import INCLUDED
from metering.domain.instants import month_of
from metering.domain.statements.statements import ExcludedUsage, Statement, StatementLineKind
from simulation.expected import Figures

_CREDIT_LINE = re.compile(r"\w+ credit( (?P<reference>.+?))??( (applied to|restored from) \d{4}-\d\d)?")
_FLAGS = {"beyond_plan", "unpriced_usage", "route_unknown", "fee_unknown", "credit_is_upper_bound"}


def figures_of(statement: Statement) -> Figures:
    """Return a statement's figures, from its lines where they have them."""
    usage: Counter[int] = Counter()
    paid: Counter[tuple[str, int]] = Counter()
    adjustments = {}
    for line in statement.lines:
        origin, pico = line.origin_month or statement.month, line.amount_pico or 0
        if line.kind in (StatementLineKind.USAGE, StatementLineKind.ROUNDING, StatementLineKind.REPORTED):
            usage[origin] += pico
        elif line.kind is StatementLineKind.CREDIT:
            paid[_credited(line.description), origin] -= pico // 1_000
        elif line.kind is StatementLineKind.ADJUSTMENT:
            adjustments[line.description.split(":")[0].removeprefix("Adjustment ")] = origin, pico // 1_000
    return Figures(
        usage={origin: _whole_nano(pico) for origin, pico in usage.items() if pico},
        adjustments=adjustments,
        fees=[(fee.plan, fee.seats, fee.first_day, fee.days, fee.amount_cents) for fee in statement.plan.fees],
        credits=dict(paid),
        included_left=statement.credits.included_left_nano,
        purchased_left=statement.credits.purchased_left_nano,
        carried_in_cents=statement.carried_in_cents,
        carried_out_cents=statement.carried_out_cents,
        total_cents=statement.total_cents,
        residual_pico=statement.residual_pico,
        partners_nano=statement.owed_to_partners_nano,
        unpriced=_counted(statement.unpriced, statement.month),
        route_unknown=_counted(statement.route_unknown, statement.month),
        failed=statement.failed_events,
        events=statement.events,
        flags={flag.value for flag in statement.flags} & _FLAGS,
    )


def paid_by_ledger(rows: list[CreditMovement]) -> dict[tuple[str, int], int]:
    """Return what each grant has paid of each month's usage, from the ledger."""
    paid: Counter[tuple[str, int]] = Counter()
    for entry, _ in rows:
        if entry.kind in (EntryKind.APPLY, EntryKind.RESTORE):
            paid[entry.grant.reference or INCLUDED, entry.usage_month] -= entry.amount_nano
    return {key: nano for key, nano in paid.items() if nano}


def left_by_ledger(rows: list[CreditMovement]) -> dict[str, int]:
    """Return what is left of each grant, from the ledger; included credits by month."""
    return {
        entry.grant.reference or f"{INCLUDED} {month_of(entry.grant.granted_at)}": left for entry, left in rows
    }  # fmt: skip


def _credited(description: str) -> str:
    found = _CREDIT_LINE.fullmatch(description)
    if found is None:
        raise ValueError(description)
    return found["reference"] or INCLUDED


def _whole_nano(pico: int) -> int:
    if pico % 1_000:
        raise ValueError(f"{pico} pico-USD of lines are not whole nano-USD")
    return pico // 1_000


def _counted(excluded: tuple[ExcludedUsage, ...], month: int) -> dict[tuple[int, str, str, str], int]:
    return {(each.origin_month or month, each.provider, each.model, each.route): each.events for each in excluded}
