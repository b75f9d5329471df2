"""The migrations alone make the schema, the same one that the tables declare, and take it away again."""

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.schema import CreateIndex, CreateTable

from metering.storage.database import open_database, reading
from metering.storage.migrate import (
    SchemaOutOfDateError,
    current_revision,
    downgrade,
    head_revision,
    require_current_schema,
    upgrade,
)
from metering.storage.tables import metadata


@pytest.fixture
def empty(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    yield engine
    engine.dispose()


def tables_of(engine):
    return set(inspect(engine).get_table_names())


def plain(sql):
    """SQL without what does not matter: white space, quotes of names."""
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.replace('"', "").split())).strip()


def parts(sql):
    """The columns and constraints of a CREATE TABLE, in no order: a migration may add one at the end."""
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


def test_an_empty_database_is_brought_to_the_newest_revision(empty):
    assert current_revision(empty) is None
    upgrade(empty)
    assert current_revision(empty) == head_revision()
    assert tables_of(empty) == {*metadata.tables, "alembic_version"}


def test_upgrading_again_changes_nothing(empty):
    upgrade(empty)
    upgrade(empty)
    assert current_revision(empty) == head_revision()


def test_going_down_to_nothing_leaves_no_table_and_up_again_works(empty):
    upgrade(empty)
    downgrade(empty, "base")
    assert tables_of(empty) <= {"alembic_version"}
    upgrade(empty)
    assert tables_of(empty) == {*metadata.tables, "alembic_version"}


def test_going_down_before_syncs_and_alerts_takes_their_tables_alone_and_up_again_brings_them(empty):
    upgrade(empty, "0003")
    everything = tables_of(empty)
    downgrade(empty, "0002")
    assert everything - tables_of(empty) == {"price_syncs", "alerts"}
    upgrade(empty, "0003")
    assert tables_of(empty) >= {"price_syncs", "alerts"}


def test_the_migrated_schema_is_the_one_that_the_tables_declare(bare_meter):
    with reading(bare_meter.engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_every_check_key_and_strictness_is_the_one_that_the_tables_declare(bare_meter):
    """Alembic compares no CHECK, no default of an empty text and no STRICT: the statements are compared themselves."""
    made = {row.name: row.sql for row in bare_meter.rows(_sql("table")) if row.name in metadata.tables}
    for name, table in metadata.tables.items():
        declared = str(CreateTable(table).compile(bare_meter.engine))
        assert parts(made[name]) == parts(declared), name
        assert "STRICT" in made[name], name


def test_every_index_is_the_one_that_the_tables_declare(bare_meter):
    made = {row.name: plain(row.sql) for row in bare_meter.rows(_sql("index")) if row.sql}
    declared = {
        index.name: plain(str(CreateIndex(index).compile(bare_meter.engine)))
        for table in metadata.tables.values()
        for index in table.indexes
    }
    assert made == declared


def test_a_failing_migration_leaves_nothing_of_itself(empty):
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


def _sql(kind):
    return text(f"SELECT name, sql FROM sqlite_master WHERE type = '{kind}'")
