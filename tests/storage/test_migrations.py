"""The schema comes to be through migrations only, both ways, and is what the tables say."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from metering.storage.database import open_database, reading
from metering.storage.migrate import current_revision, downgrade, head_revision, upgrade
from metering.storage.tables import metadata


def test_an_empty_file_becomes_the_schema_that_the_tables_declare(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    upgrade(engine)
    assert current_revision(engine) == head_revision()
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        strict = connection.exec_driver_sql("SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict").scalars()
        assert {name for name in strict if not name.startswith("sqlite_")} == {"alembic_version"}
    engine.dispose()


def test_the_way_down_leaves_nothing_and_the_way_up_works_again(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    upgrade(engine)
    downgrade(engine, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    upgrade(engine)
    assert set(metadata.tables) <= set(inspect(engine).get_table_names())
    engine.dispose()
