"""``kill -9`` during ingest and evaluation, twenty times, neither loses nor repeats an alert."""

import json
import random
import signal
from pathlib import Path

from sqlalchemy import select

from metering.domain.budgets.budgets import BudgetTerms
from metering.domain.budgets.periods import Window
from metering.domain.instants import format_instant
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.manage_budgets import Author, create_budget
from metering.storage.tables import alerts, touched_days
from pricing.bundled import bundled_plans
from support.builders import NOON, NOW, SECOND
from support.victims import kill_unless_done, start_victim

VICTIM = Path(__file__).with_name("evaluate_until_killed.py")
RECORDS = 6_000
KILLS = 20
# 1,000 nano-USD a token, a token a record.
ALL_NANO = RECORDS * 1_000
THRESHOLDS = tuple(range(2, 101, 2))


def record(number):
    return {
        "id": f"r{number}",
        "time": format_instant(NOON + number * SECOND),
        "account": "acme",
        "provider": "together",
        "model": "llama",
        "route": "routed",
        "status": 200,
        "project": f"p{number % 3}",
        "usage": {"input_tokens": 1},
    }


def kill(process, commits, delay):
    """Kill the process some time after it has reported this many commits; return whether it was still alive."""
    for _ in range(commits):
        if not process.stdout.readline():
            break
    kill_unless_done(process, delay)
    process.stdout.close()
    process.wait()
    return process.returncode == -signal.SIGKILL


def raised(meter):
    rows = meter.rows(select(alerts).where(alerts.c.type == "budget.threshold_reached").order_by(alerts.c.id))
    return [(row.subject, row.period, row.threshold) for row in rows]


def test_killed_twenty_times_each_threshold_raises_one_alert_in_order(meter, tmp_path):
    author = Author("test", NOW)
    whole = BudgetTerms(amount_nano=ALL_NANO, thresholds=THRESHOLDS)
    of_a_day = BudgetTerms(amount_nano=ALL_NANO // 3, window=Window.DAY, scope={"project": ("p1",)}, thresholds=THRESHOLDS)
    for terms in (whole, of_a_day):
        create_budget(meter.engine, "acme", terms, author, bundled_plans())
    log = tmp_path / "crash.log"
    log.write_text("".join(json.dumps(record(number)) + "\n" for number in range(RECORDS)))
    chance = random.Random(5)
    deaths = sum(
        kill(start_victim(VICTIM, meter.url, log, NOW), chance.randrange(1, 4), chance.random() / 50) for _ in range(KILLS)
    )
    assert deaths >= KILLS // 2
    # The next evaluation completes what the last process left, without any new usage.
    stored = meter.spend()[0].amount_nano
    BudgetEvaluator(meter.engine, bundled_plans(), lambda: NOW).evaluate_all()
    reached = [percent for percent in THRESHOLDS if stored * 100 >= ALL_NANO * percent]
    assert [row[2] for row in raised(meter) if row[0] == "budget:1"] == reached
    final = start_victim(VICTIM, meter.url, log, NOW)
    final.communicate(timeout=120)
    assert final.returncode == 0
    assert meter.spend()[0].amount_nano == ALL_NANO
    alerts_in_order = raised(meter)
    assert [row for row in alerts_in_order if row[0] == "budget:1"] == [("budget:1", "2026-11", at) for at in THRESHOLDS]
    assert [row for row in alerts_in_order if row[0] == "budget:2"] == [("budget:2", "2026-11-03", at) for at in THRESHOLDS]
    assert meter.count(touched_days) == 0
