"""Replicas that count and evaluate usage at once on PostgreSQL raise each alert exactly once, in order, without deadlocks."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from metering.domain.budgets.budgets import BudgetTerms
from metering.domain.budgets.periods import Window
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.manage_budgets import Author, create_budget
from metering.operations.usage.ingest import Ingester, Origin
from metering.storage.engine.database import open_database, read_snapshot
from metering.storage.tables import alerts, touched_days
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.builders import DAY, NOON, NOW, batch_of, usage_event

pytestmark = pytest.mark.only_on("postgresql")

REPLICAS = 4
ROUNDS = 25
THRESHOLDS = tuple(range(4, 101, 4))


def raised(meter):
    rows = meter.rows(select(alerts).where(alerts.c.type == "budget.threshold_reached").order_by(alerts.c.id))
    return [(row.subject, row.period, row.threshold) for row in rows]


def test_replicas_that_count_and_evaluate_at_once_raise_each_alert_once(meter):
    tokens = REPLICAS * ROUNDS * 2
    for window in (Window.MONTH, Window.QUARTER):
        for _ in range(10):
            terms = BudgetTerms(amount_nano=tokens * 1_000, window=window, thresholds=THRESHOLDS)
            create_budget(meter.engine, "acme", terms, Author("test", NOW), bundled_plans())
    engines = [open_database(meter.url) for _ in range(REPLICAS)]
    together = threading.Barrier(REPLICAS)

    def replica(number):
        ingester = Ingester(engines[number], meter.settings, lambda: NOW)
        evaluator = BudgetEvaluator(engines[number], bundled_plans(), lambda: NOW)
        together.wait()
        for round_ in range(ROUNDS):
            events = [
                usage_event(id=f"{number}-{round_}-{at}", time=NOON + at * DAY, quantities=Quantities(input_tokens=1))
                for at in range(2)
            ]
            ingester.ingest(batch_of(*events), Origin("x"))
            evaluator.evaluate()
        evaluator.evaluate_all()

    with ThreadPoolExecutor(REPLICAS) as pool:
        list(pool.map(replica, range(REPLICAS)))
    for engine in engines:
        engine.dispose()
    alerts_in_order = raised(meter)
    assert len(alerts_in_order) == len(set(alerts_in_order)) == 20 * len(THRESHOLDS)
    for number in range(1, 21):
        assert [threshold for subject, _, threshold in alerts_in_order if subject == f"budget:{number}"] == list(THRESHOLDS)
    assert meter.count(touched_days) == 0
    with read_snapshot(meter.engine) as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert connection.exec_driver_sql(query).scalar_one() == 0
