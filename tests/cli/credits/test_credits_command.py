"""``metering credits``: included, granted, spent elsewhere, left."""

import pytest

from support.request_records import request


@pytest.fixture
def pro(command_line):
    """A PRO account that used $10.40 in November 2026."""
    log = command_line.write_log([request(usage={"input_tokens": 10_000_000})])
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    return command_line


def test_a_months_credits_are_shown_with_what_they_paid_and_what_is_left(pro):
    shown = pro.json("credits", "show", "acme", "2026-11")
    assert (shown["included_usd"], shown["applied_usd"]) == ("2.000000000", "2.000000000")
    assert (shown["included_left_usd"], shown["uncovered_usd"]) == ("0.000000000", "8.400000000")


def test_the_current_month_is_the_default(pro):
    assert pro.json("credits", "show", "acme")["month"] == "2026-12"


def test_credits_spent_elsewhere_cannot_pay(pro):
    recorded = pro.json("credits", "used-elsewhere", "acme", "2026-11", "1.50", "--reason", "Spaces")
    assert (recorded["used_elsewhere_usd"], recorded["applied_usd"]) == ("1.500000000", "0.500000000")
    corrected = pro.json("credits", "used-elsewhere", "acme", "2026-11", "-1.00")
    assert corrected["applied_usd"] == "1.500000000"


def test_a_repeated_grant_is_granted_once(pro):
    first = pro.json("credits", "grant", "acme", "$25", "--reference", "order-1", "--expires", "2027-12-01")
    assert (first["amount_nano_usd"], first["kind"]) == (25_000_000_000, "purchased")
    assert first["expires_at"] == "2027-12-01T00:00:00.000000Z"
    assert pro.json("credits", "grant", "acme", "25.00", "--reference", "order-1") == first
    assert len(pro.json("credits", "show", "acme")["grants"]) == 1


def test_a_grant_can_start_at_another_time(pro):
    granted = pro.json("credits", "grant", "acme", "25", "--granted", "2027-01-01")
    assert (granted["account"], granted["granted_at"]) == ("acme", "2027-01-01T00:00:00.000000Z")


def test_the_table_states_that_included_credits_left_are_an_upper_bound(pro):
    text = pro.done("credits", "show", "acme", "2026-12")
    assert "left, at most" in text
    assert "so what is left is an upper bound. Record such spending with `metering credits used-elsewhere`." in " ".join(
        text.split()
    )


def rows_of(text, heading):
    """Return the amounts of one table, by name, in cents."""
    lines = text.partition(heading)[2].partition("\n\n")[0].splitlines()[2:]
    return {name.strip(): round(float(amount) * 100) for name, _, amount in (line.rpartition(" ") for line in lines)}


def test_the_rows_add_up_with_voided_credits_and_more_spent_elsewhere_than_is_included(pro):
    pro.done("credits", "grant", "acme", "25", "--reference", "order-1")
    pro.done("credits", "void", "acme", "order-1", "--amount", "3", "--reason", "refund")
    pro.done("credits", "used-elsewhere", "acme", "2026-12", "5")
    text = pro.done("credits", "show", "acme", "2026-12")
    assert rows_of(text, "included credits") == {
        "included": 200, "spent on other compute, as recorded": -200, "applied to usage": 0, "left": 0,
    }  # fmt: skip
    assert rows_of(text, "purchased credits") == {
        "left by earlier months": 0, "granted this month": 2500, "voided": -300, "left": 2200,
    }  # fmt: skip
    assert "$5.00 is recorded as spent on other compute, $3.00 more than the included credits" in " ".join(text.split())
    assert "order-1    25.00    3.00  never" in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "nobody"], "not_found"),
        (["show", "acme", "9999-12"], "invalid_time"),
        (["used-elsewhere", "acme", "2019-12", "1"], "invalid_time"),
        (["balance", "acme", "--at", "2031-01-01"], "invalid_time"),
        (["grant", "acme", "0"], "invalid_request"),
        (["grant", "acme", "a lot"], "usage"),
        (["grant", "acme", "1.0000000001"], "usage"),
        (["grant", "acme", "5", "--expires", "2020-01-01"], "invalid_request"),
        (["used-elsewhere", "acme", "2026-11", "-1"], "invalid_request"),
    ],
)
def test_an_error_is_one_line_with_its_code(pro, arguments, code):
    pro.run("credits", *arguments)
    assert pro.code == 2
    assert pro.errors.startswith(f"error[{code}]: ")
    assert pro.errors.count("\n") == 1
