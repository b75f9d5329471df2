"""``verify`` finds and names whatever was tampered with, and reports nothing about a sound database."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from metering.domain.violations import Violation
from metering.operations.upkeep import verify as operation
from metering.operations.upkeep.verify import CHECKS, Check, verify
from metering.storage.engine.database import exclusive_write
from metering.storage.tables import charges, event_identities, events
from pricing.quantities import Quantities
from support.assigning import assign
from support.builders import HOUR, NOON, price_table, rate, usage_event

RESPONSE = "ebafdc12cee84cf29c1b"


@pytest.fixture
def sound(meter):
    """Every kind of event: rated, reported, failed, priced later, a copy, a conflict, unassigned; three days in two months."""
    event = usage_event(id="first", response_id=RESPONSE, route="")
    meter.ingest(
        event,
        usage_event(source="tracer", response_id=RESPONSE),
        usage_event(id="first", status=404),
        usage_event(id="failed", status=500, time=NOON - 80 * HOUR),
        usage_event(id="reported", model="other", reported_cost_nano=5),
        usage_event(id="later", model="mystery", time=NOON + 30 * HOUR),
        usage_event(id="cached", quantities=Quantities(cache_read_tokens=3, output_tokens=1)),
        usage_event(id="written", quantities=Quantities(cache_write_tokens=3, output_tokens=1)),
        usage_event(id="stranger", account="stranger"),
        usage_event(id="unknown", model="never"),
    )
    meter.record_prices(price_table(rate(1_000_000, 0, model="mystery"), source="mystery"))
    meter.rate_unpriced()
    return meter


def codes(meter):
    return {violation.code for violation in meter.violations()}


def event_id(meter, external_id):
    return meter.rows(select(events.c.id).where(events.c.external_id == external_id))[0][0]


def test_a_sound_database_has_no_violation(sound):
    assert sound.violations() == []


def test_what_an_earlier_release_stored_as_failed_is_sound(meter):
    """Without a status, a request without output had failed; its charge is a fact. The same with output is no such event."""
    meter.ingest(
        usage_event(id="prompt only", status=None, failure="x", quantities=Quantities(input_tokens=5)),
        usage_event(id="nothing", status=None, failure="x", quantities=Quantities()),
        usage_event(id="output", status=None, failure="x", quantities=Quantities(output_tokens=5)),
    )
    assert meter.violations() == []
    meter.execute("UPDATE events SET details = '' WHERE external_id <> 'output'")
    assert meter.violations() == []
    meter.execute("UPDATE events SET details = ''")
    assert [violation.code for violation in meter.violations()] == ["failure_charged"]


def test_an_answer_of_a_gateways_cache_that_costs_something_is_found(meter):
    meter.ingest(usage_event(id="hit", gateway_cached=True, quantities=Quantities()), usage_event(id="bought"))
    assert meter.violations() == []
    meter.execute("UPDATE events SET charge_nano = 1 WHERE external_id = 'hit'")
    assert {"failure_charged", "charge_differs"} <= codes(meter)


def test_an_empty_database_has_no_violation(bare_meter):
    assert bare_meter.violations() == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE rollups SET amount_nano = amount_nano + 1 WHERE rate_id = 1", {"rollup_differs", "month_rollup_differs"}),
        ("UPDATE rollups SET events = events + 1 WHERE price_grade = 3", {"rollup_differs", "month_rollup_differs"}),
        ("UPDATE rollups SET input_tokens = input_tokens - 1 WHERE price_grade = 1", {"rollup_differs"}),
        ("UPDATE rollups SET reasoning_tokens = 1 WHERE price_grade = 3", {"rollup_differs"}),
        ("DELETE FROM rollups WHERE price_grade = 1", {"rollup_differs", "month_rollup_differs"}),
        ("UPDATE rollups SET event_day = event_day + 400 WHERE price_grade = 3", {"rollup_differs", "month_rollup_differs"}),
        ("UPDATE rollups SET billing_month = 202609 WHERE price_grade = 3", {"rollup_differs"}),
        ("UPDATE events SET charge_nano = charge_nano + 1 WHERE external_id = 'first'", {"rollup_differs", "charge_differs"}),
        ("UPDATE events SET output_tokens = 11 WHERE external_id = 'first'", {"content_differs", "charge_differs"}),
        (
            "UPDATE events SET other_quantities = '{\"images\":1}' WHERE external_id = 'first'",
            {"content_differs", "rollup_differs"},
        ),
        ("UPDATE events SET other_quantities = '' WHERE external_id = 'written'", {"content_differs", "rollup_differs"}),
        ("UPDATE events SET charge_nano = 6 WHERE external_id = 'reported'", {"charge_differs"}),
        ("UPDATE events SET external_id = 'forged' WHERE external_id = 'first'", {"identity_missing"}),
        ("UPDATE events SET event_time = event_time + 1 WHERE external_id = 'first'", {"content_differs"}),
        ("UPDATE events SET status = 201 WHERE external_id = 'first'", {"content_differs"}),
        (
            "UPDATE events SET status = 500 WHERE external_id = 'cached'",
            {"failure_charged", "content_differs"},
        ),
        ("UPDATE events SET status = 200 WHERE external_id = 'failed'", {"failure_charged"}),
        ("UPDATE events SET charge_nano = 1 WHERE external_id = 'failed'", {"failure_charged", "charge_differs"}),
        ("UPDATE rollups SET billable = 0 WHERE billable = 1", {"rollup_differs"}),
        ("UPDATE month_rollups SET amount_nano = amount_nano + 1", {"month_rollup_differs", "spend_differs"}),
        ("UPDATE month_rollups SET cache_read_tokens = 9 WHERE price_grade = 3", {"month_rollup_differs"}),
        ("DELETE FROM month_rollups WHERE price_grade = 1", {"month_rollup_differs", "spend_differs"}),
        ("UPDATE month_rollups SET event_month = 202501 WHERE price_grade = 3", {"month_rollup_differs", "spend_differs"}),
        (
            "UPDATE events SET price_grade = 3, rate_id = NULL WHERE external_id = 'cached'",
            {"failure_charged", "rollup_differs"},
        ),
        ("UPDATE events SET billing_month = 202601 WHERE external_id = 'cached'", {"billing_month_differs", "rollup_differs"}),
        ("UPDATE events SET account_id = 1 WHERE external_id = 'cached'", {"account_differs", "identity_missing"}),
        ("DELETE FROM event_identities WHERE event_id = 1", {"identity_missing", "identities_differ"}),
        ("UPDATE event_identities SET event_id = 99 WHERE event_id = 1", {"identity_missing"}),
        ("UPDATE event_identities SET fingerprint = 7 WHERE event_id = 1", {"content_differs"}),
        ("UPDATE event_copies SET external_id = 'forged'", {"identity_missing"}),
        ("UPDATE event_copies SET event_time = event_time + 3600000001", {"not_a_copy"}),
        ("UPDATE charges SET amount_nano = amount_nano + 1 WHERE sign = 1", {"charge_differs", "rollup_differs"}),
        ("UPDATE charges SET amount_nano = -1 WHERE sign = -1", {"reversal_differs", "charge_differs"}),
        (
            "UPDATE charges SET billing_month = 202601 WHERE sign = -1",
            {"billing_month_differs", "moved_month", "rollup_differs"},
        ),
        ("UPDATE charges SET billing_month = 202601 WHERE sign = 1", {"billing_month_differs", "rollup_differs"}),
        ("UPDATE charges SET series_id = 1 WHERE sign = -1", {"reversal_differs"}),
        ("DELETE FROM charges WHERE sign = 1", {"not_replaced", "rollup_differs", "spend_differs"}),
        ("DELETE FROM charges WHERE sign = -1", {"reversal_differs", "rollup_differs", "spend_differs"}),
        (
            "UPDATE rate_prices SET price_pico = price_pico + 1000000 WHERE rate_id = 1",
            {"charge_differs", "price_table_differs"},
        ),
        ("UPDATE rates SET context_from = -1 WHERE id = 1", {"price_table_differs", "check_failed"}),
        ("UPDATE price_tables SET effective_from = effective_from + 1 WHERE id = 1", {"price_table_differs"}),
    ],
)
def test_tampering_is_found(sound, statement, found):
    sound.execute(statement)
    violations = sound.violations()
    assert found <= {violation.code for violation in violations}
    for violation in violations:
        assert not re.search(r"[(<]|None|Decimal", f"{violation.expected} {violation.got}"), "not in words"


def test_a_tampered_price_is_found_even_if_nothing_was_charged_with_it(sound):
    sound.record_prices(price_table(rate(model="unused"), withdrawn=frozenset({("novita", "gone", "")}), source="unused"))
    assert sound.violations() == []
    sound.execute("DELETE FROM rate_withdrawals WHERE model = 'gone'")
    (found,) = sound.violations()
    assert (found.code, found.where) == ("price_table_differs", "price table 3")
    sound.execute("INSERT INTO rate_withdrawals VALUES (3, 'novita', 'gone', '')")
    assert sound.violations() == []
    sound.execute(
        "UPDATE rate_prices SET price_pico = price_pico + 1 WHERE rate_id IN (SELECT id FROM rates WHERE model = 'unused')"
    )
    assert codes(sound) == {"price_table_differs"}


def test_a_reversal_that_is_reversed_again_is_found(sound):
    sound.execute("UPDATE charges SET sign = -1, amount_nano = -amount_nano WHERE sign = 1")
    assert "reversed_twice" in codes(sound)


def test_a_lost_event_is_found_even_if_its_rollup_is_lost_too(sound):
    (row,) = sound.rows(select(events).where(events.c.external_id == "reported"))
    sound.execute("DELETE FROM rollups WHERE series_id = ?", row.series_id)
    sound.execute("DELETE FROM month_rollups WHERE series_id = ?", row.series_id)
    sound.execute("DELETE FROM events WHERE id = ?", row.id)
    assert codes(sound) == {"identities_differ", "identity_unheld"}


def add_identity(meter, event_id):
    row = {"identity": bytes(range(16)), "event_id": event_id, "fingerprint": 1}
    with exclusive_write(meter.engine) as connection:
        connection.execute(insert(event_identities).values(row))


def test_an_identity_without_an_event_is_found(sound):
    add_identity(sound, 999_999)
    assert codes(sound) == {"identities_differ", "identity_unheld"}


def test_an_event_with_two_identities_is_found(sound):
    add_identity(sound, event_id(sound, "first"))
    assert codes(sound) == {"identities_differ"}


def move_charge(meter, external_id, series):
    """Reverse an event's charge and write it again in another series, bypassing the service."""
    statement = (
        "INSERT INTO charges (event_id, series_id, sign, amount_nano, rate_id, price_grade,"
        " billing_month, recorded_at, reason)"
        " SELECT id, {}, {}, {} * charge_nano, rate_id, price_grade, billing_month, 0, 'assigned' FROM events WHERE id = ?"
    )
    moved = event_id(meter, external_id)
    meter.execute(statement.format("series_id", -1, -1), moved)
    meter.execute(statement.format(f"(SELECT id FROM series WHERE {series})", 1, 1), moved)


def test_a_charge_that_moves_between_accounts_is_found_unless_it_was_assigned(sound):
    assert assign(sound).total.events == 1
    assert sound.violations() == []
    move_charge(sound, "cached", "account_id = 1")
    assert codes(sound) == {"account_differs", "rollup_differs", "spend_differs"}  # the sums because they were not updated


def test_a_charge_that_leaves_unassigned_without_being_assigned_is_found(sound):
    move_charge(sound, "stranger", "account_id = 2 AND route = 'routed' AND model = 'llama'")
    assert codes(sound) == {"account_differs", "rollup_differs", "spend_differs"}


def test_a_dangling_reference_is_found(sound):
    statement = "UPDATE events SET source_id = 77 WHERE external_id = 'reported'"
    if sound.on_sqlite:
        with closing(sqlite3.connect(sound.engine.url.database)) as careless:
            careless.execute("PRAGMA foreign_keys = OFF")
            careless.execute(statement)
            careless.commit()
    else:
        sound.execute(statement)
    (dangling,) = [violation for violation in sound.violations() if violation.code == "dangling_reference"]
    assert dangling.where == "events.source_id 77"


@pytest.mark.only_on("postgresql")
def test_a_lost_event_is_found_by_its_references_which_partitions_do_not_enforce(sound):
    sound.execute("DELETE FROM events WHERE id IN (SELECT event_id FROM charges) OR id IN (SELECT copy_of FROM event_copies)")
    found = {violation.where.split()[0] for violation in sound.violations() if violation.code == "dangling_reference"}
    assert found == {"charges.event_id", "event_copies.copy_of"}


@pytest.mark.only_on("postgresql")
def test_an_invalid_index_is_found(sound):
    sound.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_charges_event_id'::regclass")
    assert codes(sound) == {"database_damaged"}


@pytest.mark.only_on("sqlite")
def test_a_damaged_file_is_a_violation_not_a_crash(sound):
    path = Path(sound.engine.url.database)
    sound.engine.dispose()  # the last connection that closes moves the write-ahead log into the file
    with path.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xff" * 4096 * 12)
    assert codes(sound) & {"database_damaged", "check_failed"}


def test_a_violation_names_the_place_the_expected_value_and_the_stored_one(sound):
    sound.execute("UPDATE event_identities SET fingerprint = 7 WHERE event_id = 1")
    (violation,) = sound.violations()
    digest = sound.rows(select(event_identities.c.fingerprint).where(event_identities.c.event_id == 1))[0][0]
    assert (violation.where, violation.got, digest) == ("event 1", "7", 7)
    assert violation.expected.lstrip("-").isdecimal()
    assert "event 1" in violation.message


def test_a_check_reports_a_limited_number_of_violations(meter, monkeypatch):
    monkeypatch.setattr(operation, "MAX_VIOLATIONS", 3)
    meter.ingest(*(usage_event() for _ in range(5)))
    meter.execute("DELETE FROM event_identities")
    found = [violation.code for violation in meter.violations()]
    assert found.count("identity_missing") == 3


def test_checks_can_be_added_and_report_progress(sound):
    def one_more(_connection, step):
        step(1, 2)
        yield Violation("odd", "here", "even", "odd", "an odd one")

    steps = []
    checks = (*CHECKS, Check("mine", one_more))
    found = verify(sound.engine, checks=checks, on_progress=lambda *step: steps.append(step))
    assert [violation.code for violation in found] == ["odd"]
    assert steps[-3:] == [("mine", 0, 1), ("mine", 1, 2), ("mine", 1, 1)]
    assert {name for name, _, _ in steps} == {check.name for check in CHECKS} | {"mine"}


def test_events_are_checked_in_chunks(sound, monkeypatch):
    for module in ("check_events", "check_charges", "check_identities"):
        monkeypatch.setattr(f"metering.operations.upkeep.{module}.CHUNK", 1)
    assert sound.violations() == []
    sound.execute("UPDATE event_identities SET fingerprint = 7 WHERE event_id IN (SELECT id FROM events)")
    assert len(sound.violations()) == sound.count(events)
    assert sound.count(charges) == 2
