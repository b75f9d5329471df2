"""Closing a month: when it can be closed, what is on its statement, and where later changes are billed."""

import pytest
from msgspec.structs import replace

from metering.domain.errors import AlreadyExistsError, DomainError
from metering.domain.statements.close_failure import CloseFailure
from metering.domain.statements.statement_record import canonical_form, digest_of, record_of
from metering.domain.statements.statements import Flag, StatementLineKind
from metering.operations.accounts.manage_plans import MonthClosedError
from metering.operations.credits.grant_credits import record_used_elsewhere
from metering.operations.credits.void_credits import void_credits
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import (
    CloseOptions,
    EarlierMonthsOpenError,
    MonthNotOverError,
    NothingToCloseError,
    UnpricedUsageError,
)
from metering.operations.steps.first_months import first_months
from metering.operations.steps.read_books import read_books
from metering.operations.steps.record_credits import OverdrawnError
from metering.storage.engine.database import read_snapshot
from metering.storage.tables import alerts, credit_entries, events, statements
from pricing.quantities import Quantities
from support.builders import HOUR, instant, price_table, rate, usage_event
from support.meter import PLANS

OCTOBER, NOVEMBER, DECEMBER = 202610, 202611, 202612
USD = 1_000_000_000
PICO = 1_000
END_OF_OCTOBER = instant("2026-11-01T00:00:00Z")


def dollars(amount, *, time="2026-10-10T12:00:00Z", **overrides):
    """Return a request that costs ``amount`` dollars: an input token of ``llama`` costs 1,000 nano-USD."""
    return usage_event(time=instant(time), quantities=Quantities(input_tokens=amount * 1_000_000), **overrides)


def shown(statement):
    """Kind, origin and amount in nano-USD of the lines that are not zero."""
    return [(line.kind.value, line.origin_month, line.amount_pico // PICO) for line in statement.lines if line.amount_pico]


def written(statement):
    """Return a statement's canonical form: statements with equal rates from two reads do not compare equal."""
    return canonical_form(record_of(statement, statement.closed_at or 0))


def at(meter, time):
    meter.now = instant(time)


@pytest.fixture
def october(meter):
    """October on PRO with $27.00 of usage; it is 4 November, and October is not closed yet."""
    at(meter, "2026-11-04T00:00:00Z")
    meter.set_plan("pro", "2026-10-01")
    meter.ingest(dollars(27))
    return meter


def test_a_month_can_be_closed_from_the_instant_it_ends(october):
    october.now = END_OF_OCTOBER - 1
    with pytest.raises(MonthNotOverError):
        october.close(OCTOBER)
    october.now = END_OF_OCTOBER
    assert october.close(OCTOBER).total_cents == 34_00


def test_a_month_that_has_not_begun_is_refused(october):
    with pytest.raises(MonthNotOverError):
        october.close(202701)


def test_closing_again_returns_the_same_statement_and_writes_nothing(october):
    first = october.close(OCTOBER)
    at(october, "2026-12-04T00:00:00Z")
    assert written(october.close(OCTOBER)) == written(first) == written(october.statement(OCTOBER))
    assert digest_of(written(first)) == first.digest
    assert [october.count(table) for table in (statements, alerts)] == [1, 1]
    assert october.violations() == []


def test_closing_seals_exactly_the_draft(october):
    october.grant(5 * USD, granted_at=instant("2026-10-02T00:00:00Z"))
    october.adjust(OCTOBER, 3 * USD)
    draft, closed = october.statement(OCTOBER), october.close(OCTOBER)
    assert written(replace(draft, closed_at=closed.closed_at)) == written(closed)
    # $27.00 + $3.00 + $9.00 - $2.00 - $5.00
    assert closed.total_cents == 32_00


def test_a_later_draft_takes_the_months_before_it_as_they_would_be_closed_now(october):
    november = october.statement(NOVEMBER)
    assert (november.carried_in_cents, november.total_cents) == (0, 9_00)
    october.adjust(OCTOBER, -50 * USD)
    # October: $27.00 - $50.00 + $9.00 = -$14.00, which November's fee of $9.00 reduces to -$5.00.
    november = october.statement(NOVEMBER)
    assert (november.carried_in_cents, november.total_cents, november.carried_out_cents) == (-14_00, 0, -5_00)


def test_months_close_in_order_or_together(october):
    october.ingest(dollars(1, time="2026-11-02T00:00:00Z"))
    at(october, "2026-12-04T00:00:00Z")
    with pytest.raises(EarlierMonthsOpenError):
        october.close(NOVEMBER)
    october.close(NOVEMBER, with_earlier=True)
    assert [row.month for row in october.rows(statements.select().order_by(statements.c.id))] == [OCTOBER, NOVEMBER]
    assert october.violations() == []


def test_there_is_nothing_to_close_before_the_first_month_of_an_account(october):
    with pytest.raises(NothingToCloseError):
        october.close(202609)
    october.declare("idle")
    with pytest.raises(NothingToCloseError):
        october.close(OCTOBER, account="idle")
    with pytest.raises(NothingToCloseError):
        october.close(OCTOBER, account="unassigned")


def test_unpriced_usage_keeps_a_month_open_unless_allowed_and_then_the_statement_is_flagged(october):
    october.ingest(usage_event(time=instant("2026-10-11T00:00:00Z"), model="new"))
    with pytest.raises(UnpricedUsageError):
        october.close(OCTOBER)
    assert october.count(statements) == 0
    closed = october.close(OCTOBER, allow_unpriced=True)
    assert Flag.UNPRICED_USAGE in closed.flags
    assert [usage.model for usage in closed.unpriced] == ["new"]
    october.record_prices(price_table(rate(model="new")))
    assert october.rate_unpriced().rated == 1
    # 100 tokens in and 10 out at llama's price, in the month that is open.
    assert shown(october.statement(NOVEMBER)) == [
        ("usage", OCTOBER, 100_000),
        ("usage", OCTOBER, 20_000),
        ("subscription", None, 9 * USD),
        ("residual", None, -120_000),
        ("total", None, 9 * USD),
    ]
    assert october.statement(NOVEMBER).unpriced == ()
    assert Flag.UNPRICED_USAGE not in october.statement(NOVEMBER).flags
    assert written(october.statement(OCTOBER)) == written(closed)
    assert october.violations() == []


def due(meter, grace_hours=72):
    return list(close_due_months(meter.engine, CloseOptions(PLANS), grace_hours=grace_hours, now=meter.now))


def test_a_month_is_due_72_hours_after_its_end_and_not_a_microsecond_before(october):
    october.execute("UPDATE accounts SET first_ingest_at = ? WHERE id = 2", instant("2026-10-10T12:00:00Z"))
    october.now = END_OF_OCTOBER + 72 * HOUR - 1
    assert due(october) == []
    october.now += 1
    assert [(each.account, each.month) for each in due(october)] == [("acme", OCTOBER)]
    assert due(october) == []


def test_imported_history_is_due_72_hours_after_the_first_import(meter):
    at(meter, "2026-11-20T00:00:00Z")
    meter.ingest(dollars(1, time="2026-08-10T00:00:00Z"), dollars(1, time="2026-10-10T00:00:00Z"))
    at(meter, "2026-11-22T00:00:00Z")
    meter.ingest(dollars(1, time="2026-09-10T00:00:00Z"))
    meter.now = instant("2026-11-23T00:00:00Z") - 1
    assert due(meter) == []
    meter.now += 1
    assert [each.month for each in due(meter)] == [202608, 202609, OCTOBER]
    assert meter.violations() == []


def test_first_months_of_many_accounts_equal_those_of_each(october):
    for name in ("planned", "adjusted", "free"):
        october.declare(name)
    october.set_plan("pro", "2026-03-05", account="planned")
    october.set_plan("free", "2026-02-01", account="free")
    october.adjust(202607, USD, account="adjusted")
    october.ingest(dollars(1, time="2026-08-01T00:00:00Z"))
    october.ingest(dollars(1, account="free"))
    with read_snapshot(october.engine) as connection:
        of_many = first_months(connection, [1, 2, 3, 4, 5])
        of_each = {account_id: read_books(connection, account_id).first_month for account_id in range(1, 6)}
    assert of_many == {2: 202608, 3: 202603, 4: 202607, 5: OCTOBER}
    assert {account_id: month for account_id, month in of_each.items() if month} == of_many


def test_a_month_that_cannot_be_closed_raises_one_alert_and_keeps_no_other_open(october):
    october.declare("other")
    october.ingest(usage_event(time=instant("2026-10-11T00:00:00Z"), model="new"))
    october.ingest(dollars(1, account="other"))
    at(october, "2026-11-08T00:00:00Z")
    refused, closed = due(october)
    assert isinstance(refused, CloseFailure)
    assert (refused.account, refused.month, refused.code) == ("acme", OCTOBER, "unpriced_usage")
    assert closed.account == "other"
    due(october)
    raised = october.rows(alerts.select().where(alerts.c.type == "statement.not_closed"))
    assert [(alert.subject, alert.period) for alert in raised] == [("account:2", "2026-10")]


def test_late_usage_is_billed_in_the_first_open_month_up_to_the_last_microsecond(october):
    october.close(OCTOBER)
    october.ingest(
        dollars(1, time="2026-10-31T23:59:59.999999Z"),
        dollars(2, time="2026-11-01T00:00:00Z"),
        dollars(4, time="2026-09-30T00:00:00Z"),
    )
    assert [row.billing_month for row in october.rows(events.select().order_by(events.c.id))] == [OCTOBER, *[NOVEMBER] * 3]
    assert shown(october.statement(NOVEMBER))[:3] == [
        ("usage", None, 2 * USD),
        ("usage", 202609, 4 * USD),
        ("usage", OCTOBER, 1 * USD),
    ]
    # $0.10 of September's free plan pays for September's late usage, and PRO's $2.00 for November's own.
    paid = [line for line in shown(october.statement(NOVEMBER)) if line[0] == "credit"]
    assert paid == [("credit", None, -2 * USD), ("credit", 202609, -USD // 10)]
    at(october, "2026-12-01T00:00:00Z")
    october.close(NOVEMBER)
    assert october.violations() == []


def test_example_10_by_an_adjustment(october):
    october.close(OCTOBER)
    october.adjust(OCTOBER, -26 * USD)
    november = october.statement(NOVEMBER)
    assert shown(november) == [
        ("subscription", None, 9 * USD),
        ("adjustment", OCTOBER, -26 * USD),
        ("credit", OCTOBER, 1 * USD),
        ("carried_forward", None, 16 * USD),
    ]
    assert (november.usage_payable_nano, november.total_cents, november.carried_out_cents) == (-25 * USD, 0, -16_00)
    at(october, "2027-01-05T00:00:00Z")
    october.close(DECEMBER, with_earlier=True)
    # -$16.00 and December's fee: -$7.00 is carried forward again.
    december, january = october.statement(DECEMBER), october.statement(202701)
    assert (december.carried_in_cents, december.total_cents, december.carried_out_cents) == (-16_00, 0, -7_00)
    assert (january.carried_in_cents, january.total_cents, january.carried_out_cents) == (-7_00, 2_00, 0)
    assert october.violations() == []


def test_included_credits_pay_only_their_own_month_even_after_they_expired(meter):
    at(meter, "2026-11-04T00:00:00Z")
    meter.set_plan("pro", "2026-10-01")
    meter.ingest(usage_event(time=instant("2026-10-10T00:00:00Z"), quantities=Quantities(input_tokens=500_000)))
    assert meter.close(OCTOBER).credits.applied_nano == USD // 2  # $1.50 expired with October
    meter.ingest(dollars(3, time="2026-10-20T00:00:00Z"))
    november = meter.statement(NOVEMBER)
    assert [line for line in shown(november) if line[0] == "credit"] == [("credit", OCTOBER, -3 * USD // 2)]
    at(meter, "2026-12-01T00:00:00Z")
    meter.close(NOVEMBER)
    ledger = meter.rows(credit_entries.select().order_by(credit_entries.c.id))
    assert [(row.kind, row.amount_nano, row.usage_month, row.billing_month) for row in ledger] == [
        ("grant", 2 * USD, OCTOBER, OCTOBER),
        ("apply", -USD // 2, OCTOBER, OCTOBER),
        ("expire", -3 * USD // 2, OCTOBER, OCTOBER),
        ("grant", 2 * USD, NOVEMBER, NOVEMBER),
        ("expire", 3 * USD // 2, OCTOBER, NOVEMBER),
        ("apply", -3 * USD // 2, OCTOBER, NOVEMBER),
        ("expire", -2 * USD, NOVEMBER, NOVEMBER),
    ]
    assert meter.violations() == []


def test_purchased_credits_restored_by_a_correction_carry_over(october):
    october.grant(10 * USD, granted_at=instant("2026-10-02T00:00:00Z"), reference="inv-1")
    assert october.close(OCTOBER).total_cents == 24_00
    october.adjust(OCTOBER, -26 * USD)
    october.ingest(dollars(7, time="2026-11-03T00:00:00Z"))
    # October is $1.00 now, paid by its own credits: all of inv-1 is restored, and $5.00 of it pays for November.
    assert [line for line in shown(october.statement(NOVEMBER)) if line[0] == "credit"] == [
        ("credit", None, -2 * USD),
        ("credit", None, -5 * USD),
        ("credit", OCTOBER, 1 * USD),
        ("credit", OCTOBER, 10 * USD),
    ]


def test_re_rating_a_closed_month_is_billed_in_the_open_one_and_again_after_that(october):
    closed = october.close(OCTOBER)
    october.record_prices(price_table(rate(2_000_000)))
    october.rerate()
    # Reversed at $1.00 a million, charged at $2.00.
    assert shown(october.statement(NOVEMBER))[:2] == [("usage", OCTOBER, -27 * USD), ("usage", OCTOBER, 54 * USD)]
    at(october, "2026-12-01T00:00:00Z")
    second = october.close(NOVEMBER)
    october.record_prices(price_table(rate(3_000_000)))
    october.rerate()
    assert shown(october.statement(DECEMBER))[:2] == [("usage", OCTOBER, -54 * USD), ("usage", OCTOBER, 81 * USD)]
    assert [written(october.statement(month)) for month in (OCTOBER, NOVEMBER)] == [written(closed), written(second)]
    assert october.violations() == []


def test_an_adjustment_is_recorded_once_per_reference_and_needs_an_amount_and_a_month_that_has_begun(october):
    first = october.adjust(OCTOBER, USD)
    assert october.adjust(OCTOBER, USD) == first
    with pytest.raises(AlreadyExistsError):
        october.adjust(OCTOBER, 2 * USD)
    for month, amount in ((OCTOBER, 0), (DECEMBER, USD)):
        with pytest.raises(DomainError):
            october.adjust(month, amount, reference="other")


def test_a_plan_change_is_refused_in_a_closed_month_and_accepted_on_the_first_open_day(october):
    october.close(OCTOBER)
    with pytest.raises(MonthClosedError):
        october.set_plan("free", "2026-10-31")
    october.set_plan("free", "2026-11-01")
    assert october.statement(NOVEMBER).total_cents == 0
    with pytest.raises(DomainError, match="seats"):
        october.set_plan("team", "2026-11-02", seats=0)


def test_only_credits_that_are_left_can_be_voided(october):
    october.grant(10 * USD, granted_at=instant("2026-10-02T00:00:00Z"), reference="inv-1")
    october.close(OCTOBER)
    october.grant(4 * USD, reference="inv-2")
    october.ingest(dollars(3, time="2026-11-03T00:00:00Z"))  # $2.00 included, $1.00 of inv-2
    for reference, amount in (("inv-1", 1), ("inv-2", 3 * USD + 1)):
        with pytest.raises(OverdrawnError):
            void_credits(october.engine, "acme", reference, amount, PLANS, reason="refund", now=october.now)
    void_credits(october.engine, "acme", "inv-2", None, PLANS, reason="refund", now=october.now)
    assert sum(row.amount_nano for row in october.rows(credit_entries.select()) if row.kind == "void") == -3 * USD
    # They stay voided: later usage is not paid by them.
    october.ingest(dollars(5, time="2026-11-04T00:00:00Z"))
    assert october.statement(NOVEMBER).credits.applied_nano == 3 * USD
    assert october.violations() == []


def test_credits_spent_elsewhere_recorded_late_are_a_correction_on_the_open_statement(october):
    october.close(OCTOBER)
    record_used_elsewhere(october.engine, "acme", OCTOBER, USD // 2, reason="Spaces", now=october.now)
    assert [line for line in shown(october.statement(NOVEMBER)) if line[0] == "credit"] == [("credit", OCTOBER, USD // 2)]
    at(october, "2026-12-01T00:00:00Z")
    october.close(NOVEMBER)
    assert october.violations() == []


def test_lines_add_up_to_the_total_and_no_total_is_negative(october):
    for amount in (-100, 3, -40):
        october.adjust(OCTOBER, amount * USD, reference=f"r{amount}")
        statement = october.statement(OCTOBER)
        *parts, total = [line.amount_pico or 0 for line in statement.lines]
        assert sum(parts) == total == statement.total_cents * 10_000_000 * PICO >= 0
        assert statement.lines[-1].kind is StatementLineKind.TOTAL
