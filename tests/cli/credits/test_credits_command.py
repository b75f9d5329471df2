"""``metering credits``: included, granted, spent elsewhere, left."""

import pytest

from support.request_records import request


@pytest.fixture
def pro(command_line):
    """A PRO account that used $10.40 in November 2026."""
    log = command_line.write_log([request(usage={"input_tokens": 10_000_000})])
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    return command_line


def test_a_month_s_credits_are_shown_with_what_they_paid_and_left(pro):
    shown = pro.json("credits", "show", "acme", "2026-11")
    assert (shown["included_usd"], shown["applied_usd"]) == ("2.000000000", "2.000000000")
    assert (shown["included_left_usd"], shown["uncovered_usd"]) == ("0.000000000", "8.400000000")


def test_this_month_is_shown_when_none_is_said(pro):
    assert pro.json("credits", "show", "acme")["month"] == "2026-12"


def test_what_was_spent_elsewhere_is_no_longer_there(pro):
    told = pro.json("credits", "used-elsewhere", "acme", "2026-11", "1.50", "--reason", "Spaces")
    assert (told["used_elsewhere_usd"], told["applied_usd"]) == ("1.500000000", "0.500000000")
    taken_back = pro.json("credits", "used-elsewhere", "acme", "2026-11", "-1.00")
    assert taken_back["applied_usd"] == "1.500000000"


def test_a_purchase_is_granted_once_however_often_it_is_told(pro):
    first = pro.json("credits", "grant", "acme", "$25", "--reference", "order-1", "--expires", "2027-12-01")
    assert (first["amount_nano_usd"], first["kind"]) == (25_000_000_000, "purchased")
    assert first["expires_at"] == "2027-12-01T00:00:00.000000Z"
    assert pro.json("credits", "grant", "acme", "25.00", "--reference", "order-1") == first
    assert len(pro.json("credits", "show", "acme")["grants"]) == 1


def test_people_are_told_that_the_remainder_is_only_a_bound(pro):
    text = pro.done("credits", "show", "acme", "2026-12")
    assert "left, at most" in text
    assert "an upper bound: `metering credits used-elsewhere`" in " ".join(text.split())


def rows_of(text, heading):
    """Return the amounts of one table, by name, in cents."""
    lines = text.partition(heading)[2].partition("\n\n")[0].splitlines()[2:]
    return {name.strip(): round(float(amount) * 100) for name, _, amount in (line.rpartition(" ") for line in lines)}


def test_what_is_shown_adds_up_also_when_some_was_taken_back_and_more_was_spent_elsewhere_than_there_was(pro):
    pro.done("credits", "grant", "acme", "25", "--reference", "order-1")
    pro.done("credits", "void", "acme", "order-1", "--amount", "3", "--reason", "refund")
    pro.done("credits", "used-elsewhere", "acme", "2026-12", "5")
    text = pro.done("credits", "show", "acme", "2026-12")
    assert rows_of(text, "the plan's credit") == {
        "included": 200, "spent on other compute, as told": -200, "applied to usage": 0, "left": 0,
    }  # fmt: skip
    assert rows_of(text, "other credit") == {
        "left by earlier months": 0, "granted this month": 2500, "taken back": -300, "left": 2200,
    }  # fmt: skip
    assert "$5.00 was told to be spent on other compute: $3.00 of it is more than the plan's credit was" in " ".join(
        text.split()
    )
    assert "order-1    25.00        3.00  never" in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "nobody"], "not_found"),
        (["grant", "acme", "0"], "invalid_request"),
        (["grant", "acme", "a lot"], "usage"),
        (["grant", "acme", "1.0000000001"], "usage"),
        (["grant", "acme", "5", "--expires", "2020-01-01"], "invalid_request"),
        (["used-elsewhere", "acme", "2026-11", "-1"], "invalid_request"),
    ],
)
def test_what_can_not_be_done_is_told_in_one_line(pro, arguments, code):
    pro.run("credits", *arguments)
    assert pro.code == 2
    assert pro.errors.startswith(f"error[{code}]: ")
    assert pro.errors.count("\n") == 1
