"""Replicas that start together: one upgrades the database, the others wait and find it done."""

import subprocess
import sys

from sqlalchemy import func, select

from metering.storage.engine.database import open_database, read_snapshot
from metering.storage.engine.schema_revision import current_revision, head_revision
from metering.storage.tables import price_tables
from pricing.bundled import bundled_tables
from support.places import environment_of_programs

REPLICAS = 3


def test_three_replicas_that_upgrade_at_once_all_succeed_and_migrate_once(databases, tmp_path):
    url = databases.bare()
    environment = {**environment_of_programs(), "METERING_DATABASE_URL": url}
    command = [sys.executable, "-m", "metering", "db", "upgrade", "--json"]
    started = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(REPLICAS)
    ]
    results = [(*process.communicate(timeout=300), process.returncode) for process in started]
    assert [(errors, code) for _, errors, code in results] == [("", 0)] * REPLICAS
    engine = open_database(url)
    assert current_revision(engine) == head_revision()
    with read_snapshot(engine) as connection:
        recorded = connection.execute(select(func.count()).select_from(price_tables)).scalar_one()
    assert recorded == len(list(bundled_tables()))
    engine.dispose()
    databases.drop(url)
