"""Many new keys are inserted by COPY; a taken key affects no other, and a COPY that would fail is rarely tried."""

import pytest
from sqlalchemy import select

from metering.storage.engine.database import concurrent_write, read_snapshot
from metering.storage.engine.postgres_copy import copy_packed
from metering.storage.tables import event_claims, event_identities
from metering.storage.usage import postgres_event_keys
from metering.storage.usage.postgres_event_keys import PostgresEventKeys

pytestmark = pytest.mark.only_on("postgresql")

MANY = 1_000
KEYS = PostgresEventKeys()


@pytest.fixture
def copied(monkeypatch):
    """The tables that were copied into, in order."""
    tables = []

    def noting(connection, table, columns, rows):
        tables.append(table)
        copy_packed(connection, table, columns, rows)

    monkeypatch.setattr(postgres_event_keys, "copy_packed", noting)
    return tables


def identity_rows(first_id, count=MANY, *, of=None):
    """Rows of the identities 0, 1, 2..., or of given ones."""
    return [(number.to_bytes(16, "big"), first_id + at, 7) for at, number in enumerate(of or range(count))]


def insert(meter, rows):
    with concurrent_write(meter.engine) as connection:
        return KEYS.insert_identities(connection, rows)


def stored(meter):
    """The event of each identity."""
    with read_snapshot(meter.engine) as connection:
        rows = connection.execute(select(event_identities.c.identity, event_identities.c.event_id))
        return {int.from_bytes(bytes(row.identity)): row.event_id for row in rows}


def test_many_new_identities_are_copied(bare_meter, copied):
    assert insert(bare_meter, identity_rows(1)) == MANY
    assert copied == ["event_identities"]
    assert stored(bare_meter) == {number: 1 + number for number in range(MANY)}


def test_few_identities_are_not_copied(bare_meter, copied):
    assert insert(bare_meter, identity_rows(1, 100)) == 100
    assert copied == []
    assert len(stored(bare_meter)) == 100


def test_a_batch_that_is_sent_again_is_not_copied(bare_meter, copied):
    insert(bare_meter, identity_rows(1))
    assert insert(bare_meter, identity_rows(5_000)) == 0
    assert copied == ["event_identities"]
    assert stored(bare_meter) == {number: 1 + number for number in range(MANY)}


@pytest.mark.parametrize("taken", [1, 500, 998])
def test_a_taken_identity_keeps_its_owner_and_the_others_are_inserted(bare_meter, copied, taken):
    insert(bare_meter, identity_rows(1, of=[taken]))
    assert insert(bare_meter, identity_rows(5_000)) == MANY - 1
    assert stored(bare_meter) == {number: 5_000 + number for number in range(MANY)} | {taken: 1}


def test_rows_with_repeated_identities_are_not_copied(bare_meter, copied):
    assert insert(bare_meter, identity_rows(1, of=[*range(MANY), MANY - 1])) == MANY
    assert copied == []
    assert stored(bare_meter)[MANY - 1] == MANY


def test_many_new_claims_are_copied_and_known_ones_are_not(bare_meter, copied):
    with concurrent_write(bare_meter.engine) as connection:
        assert KEYS.reserve_claims(connection, [(0, claim, 1 + claim) for claim in range(MANY)], 0, 1).settled
        assert copied == ["event_claims"]
        assert not KEYS.reserve_claims(connection, [(0, claim, 5_000 + claim) for claim in range(MANY)], 0, 1).settled
    assert copied == ["event_claims"]
    with read_snapshot(bare_meter.engine) as connection:
        rows = connection.execute(select(event_claims.c.claim, event_claims.c.event_id).order_by(event_claims.c.claim))
        assert rows.all() == [(claim, 1 + claim) for claim in range(MANY)]


def test_a_known_claim_among_many_new_ones_affects_no_other(bare_meter, copied):
    with concurrent_write(bare_meter.engine) as connection:
        KEYS.reserve_claims(connection, [(0, 501, 1)], 0, 1)
        reserved = KEYS.reserve_claims(connection, [(0, claim, 5_000 + claim) for claim in range(MANY)], 0, 1)
    assert not reserved.settled
    assert reserved.written == {claim: 5_000 + claim for claim in range(MANY) if claim != 501}
