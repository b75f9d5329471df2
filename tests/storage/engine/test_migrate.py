"""The migrations create the schema that the tables declare, and remove it again."""

import re
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.schema import CreateIndex, CreateTable

from metering.operations.upkeep.check_ready import check_ready
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.storage.engine.database import exclusive_write, open_database, read_snapshot
from metering.storage.engine.errors import SchemaOutOfDateError
from metering.storage.engine.migrate import downgrade, upgrade
from metering.storage.engine.schema_revision import current_revision, head_revision, migrations_folder, require_current_schema
from metering.storage.tables import EVENT_ID_BLOCK, metadata, postgres_metadata, sqlite_metadata
from metering.storage.tables.sums import SUMMED_KINDS
from support.assigning import assign
from support.builders import NOW, price_table, rate, usage_event


@pytest.fixture
def empty(databases):
    url = databases.bare()
    engine = open_database(url)
    yield engine
    engine.dispose()
    databases.drop(url)


def test_the_newest_script_by_its_number_is_the_head_that_alembic_finds():
    scripts = ScriptDirectory(str(migrations_folder()))
    assert head_revision() == scripts.get_current_head()
    assert [script.path.rpartition("/")[2].partition("_")[0] for script in scripts.walk_revisions()] == [
        script.revision for script in scripts.walk_revisions()
    ]


def tables_of(engine):
    return set(inspect(engine).get_table_names())


def declared_tables(engine):
    of_this_kind = (postgres_metadata if engine.dialect.name == "postgresql" else sqlite_metadata).tables
    return {*metadata.tables, *of_this_kind, "alembic_version"}


def plain(sql):
    """SQL without insignificant differences: white space, quotes around names."""
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.replace('"', "").split())).strip()


def parts(sql):
    """The columns and constraints of a CREATE TABLE, unordered: a migration may add one at the end."""
    before, _, rest = plain(sql).partition("(")
    body, _, after = rest.rpartition(")")
    items, depth, item = [], 0, ""
    for char in body + ",":
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            items.append(item)
            item = ""
        else:
            item += char
    return before, sorted(items), after


def test_an_empty_database_is_migrated_to_the_newest_revision(empty):
    assert current_revision(empty) is None
    upgrade(empty)
    assert current_revision(empty) == head_revision()
    assert tables_of(empty) == declared_tables(empty)


def test_upgrading_again_changes_nothing(empty):
    upgrade(empty)
    upgrade(empty)
    assert current_revision(empty) == head_revision()


def test_downgrading_to_base_leaves_no_table_and_upgrading_again_works(empty):
    upgrade(empty)
    downgrade(empty, "base")
    assert tables_of(empty) <= {"alembic_version"}
    upgrade(empty)
    assert tables_of(empty) == declared_tables(empty)


def test_downgrading_before_syncs_and_alerts_removes_only_their_tables(empty):
    upgrade(empty, "0003")
    everything = tables_of(empty)
    downgrade(empty, "0002")
    assert everything - tables_of(empty) == {"price_syncs", "alerts"}
    upgrade(empty, "0003")
    assert tables_of(empty) >= {"price_syncs", "alerts"}


@pytest.mark.only_on("sqlite")
def test_the_migrated_schema_matches_the_declared_tables(bare_meter):
    with read_snapshot(bare_meter.engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        both: Any = [metadata, sqlite_metadata]  # Alembic takes several, though its annotation says one.
        assert compare_metadata(context, both) == []


@pytest.mark.only_on("sqlite")
def test_every_check_key_and_strict_table_matches_its_declaration(bare_meter):
    """Alembic compares no CHECK, no default of an empty text and no STRICT: the statements are compared themselves."""
    tables = {**metadata.tables, **sqlite_metadata.tables}
    made = {row.name: row.sql for row in bare_meter.rows(_sql("table")) if row.name in tables}
    for name, table in tables.items():
        declared = str(CreateTable(table).compile(bare_meter.engine))
        assert parts(made[name]) == parts(declared), name
        assert "STRICT" in made[name], name


@pytest.mark.only_on("postgresql")
def test_the_migrated_schema_matches_the_declared_tables_in_the_catalog_of_postgres(bare_meter, empty):
    """Alembic compares no key and no CHECK: create the declared tables, and compare the system catalogs of both."""
    metadata.create_all(empty)
    postgres_metadata.create_all(empty)
    for question in CATALOG:
        assert catalog(bare_meter.engine, question) == catalog(empty, question) != []


@pytest.mark.only_on("postgresql")
def test_the_sequence_of_event_ids_advances_by_a_block(bare_meter):
    increments = "SELECT seqincrement FROM pg_sequence WHERE seqrelid = 'event_ids'::regclass"
    assert catalog(bare_meter.engine, increments) == [(EVENT_ID_BLOCK,)]


@pytest.mark.only_on("postgresql")
def test_a_postgres_database_with_events_is_not_downgraded_below_its_first_revision(meter):
    meter.ingest(usage_event())
    with pytest.raises(RuntimeError, match="cannot downgrade a PostgreSQL database with events below revision 0002"):
        downgrade(meter.engine, "0001")
    assert not meter.violations()


def test_a_database_with_assigned_events_is_not_downgraded_below_their_table(meter):
    downgrade(meter.engine, "0016")
    upgrade(meter.engine)
    meter.ingest(usage_event(account="stranger"))
    assign(meter)
    with pytest.raises(RuntimeError, match="cannot downgrade a database with assigned events below revision 0017"):
        downgrade(meter.engine, "0016")
    assert not meter.violations()


def test_price_tables_of_equal_content_survive_a_downgrade_and_upgrade(bare_meter):
    first, other = price_table(rate(7)), price_table(rate(8))
    for each in (first, other, first):
        bare_meter.record_prices(each)
    downgrade(bare_meter.engine, "0005")
    digests = bare_meter.rows(text("SELECT digest FROM price_tables ORDER BY id"))
    assert [row.digest for row in digests] == [f"{first.digest} 1", other.digest, first.digest]
    upgrade(bare_meter.engine)
    digests = bare_meter.rows(text("SELECT digest FROM price_tables ORDER BY id"))
    assert [row.digest for row in digests] == [first.digest, other.digest, first.digest]


@pytest.mark.only_on("sqlite")
def test_every_index_matches_its_declaration(bare_meter):
    made = {row.name: plain(row.sql) for row in bare_meter.rows(_sql("index")) if row.sql}
    declared = {
        index.name: plain(str(CreateIndex(index).compile(bare_meter.engine)))
        for table in metadata.tables.values()
        for index in table.indexes
    }
    assert made == declared


def test_a_failed_migration_leaves_no_trace(empty):
    with empty.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE rollups (stands_in_the_way INTEGER)")
        connection.commit()
    with pytest.raises(Exception, match="already exists"):
        upgrade(empty)
    assert tables_of(empty) == {"rollups"}


def test_an_old_schema_is_refused_with_what_to_do(empty):
    with pytest.raises(SchemaOutOfDateError, match="metering db upgrade"):
        require_current_schema(empty)
    upgrade(empty)
    require_current_schema(empty)


def test_a_database_of_a_newer_release_is_refused_and_not_upgraded(empty):
    upgrade(empty)
    newer = f"{int(head_revision()) + 1:04}"
    with empty.connect() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{newer}'")
        connection.commit()
    message = f"is at revision {newer}, newer than this release, which knows {head_revision()}: install"
    for check in (require_current_schema, check_ready, lambda engine: upgrade_database(engine, now=NOW)):
        with pytest.raises(SchemaOutOfDateError, match=message):
            check(empty)


def test_grants_and_accounts_from_before_closing_are_migrated_both_ways(empty):
    upgrade(empty, "0007")
    before = (
        "INSERT INTO accounts (id, default_route, created_at) VALUES (7, '', 1)",
        "INSERT INTO series (id, account_id, provider, model, operation, route, project, key, tags)"
        " VALUES (1, 7, 'p', 'm', '', 'routed', '', '', '')",
        "INSERT INTO receipts VALUES (1, 1700000000000000), (9, 1700000000000009)",
        "INSERT INTO credit_grants (id, account_id, kind, amount_nano, granted_at, reference)"
        " VALUES (3, 7, 'purchased', 5, 1793491200000000, 'r')",  # 2026-11-01
        "INSERT INTO credit_entries (account_id, kind, amount_nano, billing_month, reason, recorded_at)"
        " VALUES (7, 'used_elsewhere', 2, 202610, 'Spaces', 4)",
        f"INSERT INTO month_rollups VALUES (1, 0, 0, 0, 1, 202610, 202610, 1, {', '.join('0' for _ in SUMMED_KINDS)}, 0)",
    )
    with exclusive_write(empty) as connection:
        for statement in before:
            connection.exec_driver_sql(statement)
    upgrade(empty)
    entries = "SELECT coalesce(grant_id, 0), kind, amount_nano, usage_month, billing_month FROM credit_entries ORDER BY id"
    assert catalog(empty, entries) == [
        (0, "used_elsewhere", 2, 202610, 202610),
        (3, "grant", 5, 202611, 202611),
    ]
    assert catalog(empty, "SELECT id, first_ingest_at, closed_through FROM accounts WHERE id = 7") == [
        (7, 1_700_000_000_000_009, None)
    ]
    assert catalog(empty, "SELECT kind, scope FROM credit_grants") == [("purchased", "inference")]
    downgrade(empty, "0007")
    assert catalog(empty, "SELECT kind, amount_nano FROM credit_entries") == [("used_elsewhere", 2)]
    upgrade(empty)
    assert len(catalog(empty, entries)) == 2


def catalog(engine, question):
    with read_snapshot(engine) as connection:
        return sorted(map(tuple, connection.execute(text(question))))


CATALOG = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
    "SELECT seqrelid::regclass::text, seqincrement, seqstart FROM pg_sequence",
    "SELECT partrelid::regclass::text, pg_get_partkeydef(partrelid) FROM pg_partitioned_table",
)


def _sql(kind):
    return text(f"SELECT name, sql FROM sqlite_master WHERE type = '{kind}'")


@pytest.mark.parametrize(
    ("filling", "revision", "reason"),
    [
        ("INSERT INTO budgets (account_id, created_at) VALUES (2, 0)", "0012", "a database with budgets"),
        (
            "INSERT INTO adjustments (account_id, billing_month, origin_month, amount_nano, reason, reference, recorded_at)"
            " VALUES (2, 202611, 202610, 1, 'r', 'r', 0)",
            "0008",
            "a database with adjustments",
        ),
        (
            "INSERT INTO adjustments (account_id, billing_month, origin_month, amount_nano, reason, reference, recorded_at,"
            " adjusts)"
            " VALUES (2, 202611, 202610, 1, 'r', 'r', 0, 'total')",
            "0020",
            "a database with adjusted totals",
        ),
    ],
)
def test_a_downgrade_that_would_lose_data_is_refused(meter, filling, revision, reason):
    meter.execute(filling)
    with pytest.raises(RuntimeError, match=reason):
        downgrade(meter.engine, revision)


def test_going_down_is_refused_where_there_are_sums_of_a_kind_without_a_column(meter):
    meter.ingest(usage_event())
    meter.execute("UPDATE month_rollups SET other_quantities = '{\"video_tokens\":1}'")
    with pytest.raises(RuntimeError, match="below revision 0019: month_rollups has sums of quantities without a column"):
        downgrade(meter.engine, "0018")
