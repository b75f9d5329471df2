"""``verify`` compares closed statements with the facts, and the database itself refuses invalid rows."""

import pytest
from sqlalchemy import text

from pricing.quantities import Quantities
from support.builders import instant, price_table, rate, usage_event

OCTOBER = 202610
USD = 1_000_000_000


@pytest.fixture
def october(meter):
    """October on PRO with $27.00 of usage; it is 4 November, and October is not closed yet."""
    meter.now = instant("2026-11-04T00:00:00Z")
    meter.set_plan("pro", "2026-10-01")
    meter.ingest(usage_event(time=instant("2026-10-10T12:00:00Z"), quantities=Quantities(input_tokens=27_000_000)))
    return meter


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE statements SET content = replace(content, '27.0', '26.0')", {"statement_digest_differs", "statement_differs"}),
        ("UPDATE statements SET total_cents = 1", {"statement_differs"}),
        ("UPDATE accounts SET closed_through = 202611 WHERE id = 2", {"closed_through_differs"}),
        ("UPDATE accounts SET closed_through = NULL WHERE id = 2", {"closed_through_differs"}),
        ("DELETE FROM statements", {"closed_through_differs"}),
        ("UPDATE credit_entries SET amount_nano = -1000000000 WHERE kind = 'apply'", {"statement_differs"}),
        ("UPDATE credit_entries SET amount_nano = -2000000001 WHERE kind = 'apply'", {"credits_overdrawn"}),
        ("UPDATE credit_grants SET amount_nano = 1", {"grant_differs"}),
        ("UPDATE adjustments SET amount_nano = 1", {"statement_differs"}),
        ("DELETE FROM adjustments", {"statement_differs"}),
        ("UPDATE month_rollups SET amount_nano = amount_nano + 1", {"statement_differs", "month_rollup_differs"}),
        ("UPDATE statements SET last_charge_id = -1", set()),
    ],
)
def test_tampering_with_a_closed_month_is_found(october, statement, found):
    october.adjust(OCTOBER, USD)
    october.close(OCTOBER)
    october.execute(statement)
    assert found <= {violation.code for violation in october.violations()}


def test_a_charge_written_into_a_closed_month_is_found(october):
    october.close(OCTOBER)
    october.record_prices(price_table(rate(2_000_000)))
    october.rerate()
    october.execute("UPDATE charges SET billing_month = 202610")
    assert "charged_after_close" in {violation.code for violation in october.violations()}


def test_the_database_refuses_a_second_statement_of_a_month_and_entries_of_the_wrong_sign(october):
    october.close(OCTOBER)
    copy = (
        "INSERT INTO statements (account_id, month, closed_at, content, digest, total_cents, carried_cents, last_charge_id,"
        " last_entry_id) SELECT account_id, month, closed_at, content, digest, 0, 0, 0, 0 FROM statements"
    )
    wrong = "UPDATE credit_entries SET amount_nano = -amount_nano WHERE kind = '{}'"
    for change in (copy, wrong.format("grant"), wrong.format("apply")):
        with pytest.raises(Exception, match=r"(?i)unique|constraint"):
            october.execute(change)
    assert october.rows(text("SELECT count(*) FROM statements"))[0][0] == 1
