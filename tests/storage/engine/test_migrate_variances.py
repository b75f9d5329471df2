"""Variances from before they named sessions keep the decisions about them in both directions."""

import pytest
from sqlalchemy import text

from metering.storage.engine.database import exclusive_write, open_database, read_snapshot
from metering.storage.engine.migrate import downgrade, upgrade

BEFORE = (
    "INSERT INTO accounts (id, default_route, created_at) VALUES (7, '', 1)",
    "INSERT INTO invoice_documents (id, account_id, digest, reading, bytes, begun_at) VALUES (1, 7, 'd', '', 1, 1)",
    "INSERT INTO invoices (id, account_id, biller, grain, routes, period_start, period_end, issued_at, unit_nano, lines,"
    " imported_at) VALUES (1, 7, 'huggingface', 'session', 'routed', 0, 1, 1, 1, 1, 1)",
    "INSERT INTO reconciliations (id, invoice_id, account_id, run_at, ours_nano, theirs_nano, requests, matched_requests,"
    " usage_nano, matched_nano, valued, tolerance_nano) VALUES (1, 1, 7, 1, 5, 8, 1, 0, 8, 5, 0, 0)",
    "INSERT INTO variances (id, reconciliation_id, cause, basis, amount_nano, items, tolerated)"
    " VALUES (4, 1, 'unexplained', 'observed', 3, 1, 0)",
    "INSERT INTO variance_items (variance_id, number, amount_nano) VALUES (4, 0, 3)",
    "INSERT INTO variance_decisions (variance_id, state, who, reason, decided_at, corrected_nano)"
    " VALUES (4, 'disputed', 'ada', 'asked them', 2, 0)",
)
STORED = "SELECT v.id, v.cause, v.amount_nano, d.state FROM variances v JOIN variance_decisions d ON d.variance_id = v.id"


@pytest.fixture
def empty(databases):
    url = databases.bare()
    engine = open_database(url)
    yield engine
    engine.dispose()
    databases.drop(url)


def rows_of(engine, question):
    with read_snapshot(engine) as connection:
        return [tuple(row) for row in connection.execute(text(question))]


def test_variances_from_before_sessions_keep_their_decisions_both_ways(empty):
    upgrade(empty, "0014")
    with exclusive_write(empty) as connection:
        for statement in BEFORE:
            connection.exec_driver_sql(statement)
    upgrade(empty)
    assert rows_of(empty, STORED) == [(4, "unexplained", 3, "disputed")]
    assert rows_of(empty, "SELECT session FROM variances") == [("",)]
    downgrade(empty, "0014")
    assert rows_of(empty, STORED) == [(4, "unexplained", 3, "disputed")]
    upgrade(empty)
    with exclusive_write(empty) as connection:
        connection.execute(text("UPDATE variances SET session = 'search'"))
    with pytest.raises(RuntimeError, match="would lose the names of the sessions"):
        downgrade(empty, "0014")
