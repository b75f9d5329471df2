"""A closed statement as it is stored: its canonical form and the digest of it.

The canonical form is JSON in UTF-8 with sorted keys and no white space. Amounts are decimal strings of dollars with twelve
decimals, months are ``YYYY-MM``, instants have microseconds; fields that have their default value are omitted. The digest is
the SHA-256 of these bytes, in hex, so it can be checked without this program.

A change to any record or to how it is written changes digests: closed statements could not be verified any more.
"""

import hashlib
from datetime import date

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from metering.domain.accounts.plan_history import DailyCredit, FeeLine, PlanMonth
from metering.domain.credits.credits import INFERENCE_ONLY, CreditApplied, CreditGrant, MonthCredits
from metering.domain.instants import format_instant, format_month, parse_instant, parse_month
from metering.domain.statements.statements import CLOSED, ExcludedUsage, Flag, Statement, StatementLine, StatementLineKind
from pricing.dollars import format_pico
from pricing.money import PICO_PER_NANO, PICO_PER_USD, parse_usd
from pricing.quantities import ALL_KINDS
from pricing.rates import Rate

SCHEMA = "statement/1"


class LineRecord(Struct, frozen=True, omit_defaults=True):
    """A line; ``rate_id`` 0: no rate."""

    kind: str
    description: str
    amount_usd: str | None = None
    route: str = ""
    provider: str = ""
    model: str = ""
    operation: str = ""
    rate_id: int = 0
    quantity_kind: str = ""
    quantity: int | None = None
    price_usd: str | None = None
    price_per: int = 1
    price_assumed: bool = False
    origin_month: str = ""


class ExcludedRecord(Struct, frozen=True, omit_defaults=True):
    """Usage that is excluded from the total."""

    route: str
    provider: str
    model: str
    events: int
    quantities: dict[str, int]
    amount_usd: str | None = None
    origin_month: str = ""


class GrantRecord(Struct, frozen=True, omit_defaults=True):
    """A credit grant, and what it paid of the month's own usage."""

    kind: str
    amount_usd: str
    granted_at: str
    applied_usd: str
    left_usd: str
    expires_at: str = ""
    reference: str = ""
    scope: str = INFERENCE_ONLY


class CreditsRecord(Struct, frozen=True):
    """What credits paid of the month's own usage, and what is left."""

    applied: list[GrantRecord]
    included_left_usd: str
    purchased_left_usd: str
    uncovered_usd: str


class DailyCreditRecord(Struct, frozen=True):
    """The included credit of each of some consecutive days."""

    first_day: str
    days: int
    credit_usd: str
    pays_elsewhere: bool


class PlanRecord(Struct, frozen=True, omit_defaults=True):
    """The month's plan terms when it was closed. Only fields with a default are omitted."""

    plan: str
    seats: int
    fees: list[FeeLine]
    included_credit_usd: str | None
    credits_pay_elsewhere: bool
    invoiced: bool
    daily_credits: list[DailyCreditRecord] = []


class StatementRecord(Struct, frozen=True):
    """A closed statement."""

    schema: str
    account: str
    month: str
    closed_at: str
    plan: PlanRecord
    credits: CreditsRecord
    lines: list[LineRecord]
    owed_to_partners: list[LineRecord]
    unpriced: list[ExcludedRecord]
    route_unknown: list[ExcludedRecord]
    usage_usd: str
    adjustments_usd: str
    credits_corrected_usd: str
    subscription_cents: int
    carried_in_cents: int
    carried_out_cents: int
    total_cents: int
    residual_usd: str
    owed_to_partners_usd: str
    failed_events: int
    events: int
    flags: list[str]

    @property
    def rate_ids(self) -> set[int]:
        """Ids of the rates on its lines."""
        return {line.rate_id for line in (*self.lines, *self.owed_to_partners) if line.rate_id}


def record_of(statement: Statement, closed_at: int) -> StatementRecord:
    """Return the record of a statement closed at ``closed_at`` (microseconds UTC)."""
    return StatementRecord(
        schema=SCHEMA,
        account=statement.account,
        month=format_month(statement.month),
        closed_at=format_instant(closed_at),
        plan=_plan_record(statement.plan),
        credits=_credits_record(statement.credits),
        lines=[_line_record(line) for line in statement.lines],
        owed_to_partners=[_line_record(line) for line in statement.owed_to_partners],
        unpriced=[_excluded_record(usage) for usage in statement.unpriced],
        route_unknown=[_excluded_record(usage) for usage in statement.route_unknown],
        usage_usd=_usd(statement.usage_nano),
        adjustments_usd=_usd(statement.adjustments_nano),
        credits_corrected_usd=_usd(statement.credits_corrected_nano),
        subscription_cents=statement.subscription_cents,
        carried_in_cents=statement.carried_in_cents,
        carried_out_cents=statement.carried_out_cents,
        total_cents=statement.total_cents,
        residual_usd=format_pico(statement.residual_pico),
        owed_to_partners_usd=_usd(statement.owed_to_partners_nano),
        failed_events=statement.failed_events,
        events=statement.events,
        flags=sorted(statement.flags),
    )


def canonical_form(record: StatementRecord) -> bytes:
    """Return the bytes that the digest covers."""
    return msgspec.json.encode(record, order="sorted")


def digest_of(content: bytes) -> str:
    """Return the digest of a canonical form, in hex."""
    return hashlib.sha256(content).hexdigest()


def read_record(content: bytes) -> StatementRecord:
    """Read a canonical form. Raises msgspec.MsgspecError if it is not one."""
    return msgspec.json.decode(content, type=StatementRecord)


def figures_of(record: StatementRecord) -> StatementRecord:
    """Return the record without names and descriptions, which may change from one release to the next."""
    return replace(
        record,
        account="",
        lines=[replace(line, description="") for line in record.lines],
        owed_to_partners=[replace(line, description="") for line in record.owed_to_partners],
    )


def statement_of(record: StatementRecord, rates: dict[int, Rate], digest: str) -> Statement:
    """Return the closed statement of a record; ``rates`` has every rate that its lines name."""
    return Statement(
        account=record.account,
        month=parse_month(record.month),
        status=CLOSED,
        plan=plan_of(record),
        lines=tuple(_line(line, rates) for line in record.lines),
        usage_nano=_nano(record.usage_usd),
        credits=_credits(record),
        subscription_cents=record.subscription_cents,
        total_cents=record.total_cents,
        residual_pico=parse_usd(record.residual_usd, unit_per_usd=PICO_PER_USD),
        owed_to_partners=tuple(_line(line, rates) for line in record.owed_to_partners),
        owed_to_partners_nano=_nano(record.owed_to_partners_usd),
        unpriced=tuple(map(_excluded, record.unpriced)),
        route_unknown=tuple(map(_excluded, record.route_unknown)),
        failed_events=record.failed_events,
        events=record.events,
        flags=frozenset(map(Flag, record.flags)),
        closed_at=parse_instant(record.closed_at),
        digest=digest,
        adjustments_nano=_nano(record.adjustments_usd),
        credits_corrected_nano=_nano(record.credits_corrected_usd),
        carried_in_cents=record.carried_in_cents,
        carried_out_cents=record.carried_out_cents,
    )


def plan_of(record: StatementRecord) -> PlanMonth:
    """Return the plan terms that the statement was closed with."""
    plan = record.plan
    return PlanMonth(
        month=parse_month(record.month),
        plan=plan.plan,
        seats=plan.seats,
        fees=tuple(plan.fees),
        included_credit_nano=None if plan.included_credit_usd is None else _nano(plan.included_credit_usd),
        credits_pay_elsewhere=plan.credits_pay_elsewhere,
        invoiced=plan.invoiced,
        daily_credits=tuple(
            DailyCredit(date.fromisoformat(each.first_day), each.days, _nano(each.credit_usd), each.pays_elsewhere)
            for each in plan.daily_credits
        ),
    )


def _plan_record(plan: PlanMonth) -> PlanRecord:
    included = plan.included_credit_nano
    return PlanRecord(
        plan.plan,
        plan.seats,
        list(plan.fees),
        None if included is None else _usd(included),
        plan.credits_pay_elsewhere,
        plan.invoiced,
        [
            DailyCreditRecord(each.first_day.isoformat(), each.days, _usd(each.amount_nano), each.pays_elsewhere)
            for each in plan.daily_credits
        ],
    )


def _credits_record(credits_of_month: MonthCredits) -> CreditsRecord:
    return CreditsRecord(
        applied=[_grant_record(item) for item in credits_of_month.applied],
        included_left_usd=_usd(credits_of_month.included_left_nano),
        purchased_left_usd=_usd(credits_of_month.purchased_left_nano),
        uncovered_usd=_usd(credits_of_month.uncovered_nano),
    )


def _grant_record(item: CreditApplied) -> GrantRecord:
    grant = item.grant
    return GrantRecord(
        kind=grant.kind,
        amount_usd=_usd(grant.amount_nano),
        granted_at=format_instant(grant.granted_at),
        applied_usd=_usd(item.amount_nano),
        left_usd=_usd(item.left_nano),
        expires_at="" if grant.expires_at is None else format_instant(grant.expires_at),
        reference=grant.reference,
        scope=grant.scope,
    )


def _credits(record: StatementRecord) -> MonthCredits:
    stored = record.credits
    return MonthCredits(
        month=parse_month(record.month),
        applied=tuple(
            CreditApplied(
                CreditGrant(
                    id=0,
                    kind=each.kind,
                    amount_nano=_nano(each.amount_usd),
                    granted_at=parse_instant(each.granted_at),
                    expires_at=parse_instant(each.expires_at) if each.expires_at else None,
                    reference=each.reference,
                    scope=each.scope,
                ),
                _nano(each.applied_usd),
                _nano(each.left_usd),
            )
            for each in stored.applied
        ),
        included_left_nano=_nano(stored.included_left_usd),
        purchased_left_nano=_nano(stored.purchased_left_usd),
        uncovered_nano=_nano(stored.uncovered_usd),
    )


def _line_record(line: StatementLine) -> LineRecord:
    return LineRecord(
        kind=line.kind.value,
        description=line.description,
        amount_usd=None if line.amount_pico is None else format_pico(line.amount_pico),
        route=line.route,
        provider=line.provider,
        model=line.model,
        operation=line.operation,
        rate_id=0 if line.rate is None else line.rate.id,
        quantity_kind=line.quantity_kind,
        quantity=line.quantity,
        price_usd=None if line.price_pico is None else format_pico(line.price_pico),
        price_per=line.price_block,
        price_assumed=line.price_assumed,
        origin_month="" if line.origin_month is None else format_month(line.origin_month),
    )


def _line(line: LineRecord, rates: dict[int, Rate]) -> StatementLine:
    return StatementLine(
        kind=StatementLineKind(line.kind),
        description=line.description,
        amount_pico=_pico(line.amount_usd),
        route=line.route,
        provider=line.provider,
        model=line.model,
        operation=line.operation,
        rate=rates[line.rate_id] if line.rate_id else None,
        quantity_kind=line.quantity_kind,
        quantity=line.quantity,
        price_pico=_pico(line.price_usd),
        price_block=line.price_per,
        price_assumed=line.price_assumed,
        origin_month=parse_month(line.origin_month) if line.origin_month else None,
    )


def _excluded_record(usage: ExcludedUsage) -> ExcludedRecord:
    return ExcludedRecord(
        route=usage.route,
        provider=usage.provider,
        model=usage.model,
        events=usage.events,
        quantities={kind: count for kind, count in zip(ALL_KINDS, usage.quantities, strict=True) if count},
        amount_usd=None if usage.amount_nano is None else _usd(usage.amount_nano),
        origin_month="" if usage.origin_month is None else format_month(usage.origin_month),
    )


def _excluded(usage: ExcludedRecord) -> ExcludedUsage:
    return ExcludedUsage(
        route=usage.route,
        provider=usage.provider,
        model=usage.model,
        events=usage.events,
        quantities=tuple(usage.quantities.get(kind, 0) for kind in ALL_KINDS),
        amount_nano=None if usage.amount_usd is None else _nano(usage.amount_usd),
        origin_month=parse_month(usage.origin_month) if usage.origin_month else None,
    )


def _usd(amount_nano: int) -> str:
    return format_pico(amount_nano * PICO_PER_NANO)


def _nano(text: str) -> int:
    return parse_usd(text, unit_per_usd=PICO_PER_USD) // PICO_PER_NANO


def _pico(text: str | None) -> int | None:
    return None if text is None else parse_usd(text, unit_per_usd=PICO_PER_USD)
