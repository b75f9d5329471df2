"""Evaluate budgets: raise alerts for the triggers that usage has reached since the last evaluation, each exactly once.

The transaction that counts usage also records which days of which accounts it touched. A crash before the evaluation therefore
loses nothing: the next evaluator reads the same rows. Two processes may evaluate the same usage at once; the unique key of
alerts decides which one raises an alert. An evaluation reads one snapshot of the database and writes only new alerts.

What is remembered in memory (raised alerts, fired triggers, evaluated rows) is remembered only after the commit that made it
true. Otherwise a commit that fails would lose an alert.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from sqlalchemy import Connection, Engine

from metering.domain.instants import MICROS_PER_DAY
from metering.operations.budgets.account_spend import AccountSpend, SeriesValues
from metering.operations.budgets.budget_alerts import BudgetSubject, forecast_alert, trigger_alert
from metering.operations.budgets.budget_index import BudgetIndex
from metering.operations.budgets.budget_states import state_of
from metering.operations.budgets.find_due_triggers import DueTriggers, find_due_triggers
from metering.operations.steps.alert_unpriced import unpriced_alerts
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.alerts import AlertIdentity, NewAlert, raised_among
from metering.storage.budgets.budgets import amount_changes, budgets_by_id, forecast_budgets
from metering.storage.charges.hour_sums import delete_hours_of_days
from metering.storage.charges.touched_days import TouchedDay, delete_touched_days, touched_days_after
from metering.storage.engine.database import concurrent_write, is_server, read_snapshot
from pricing.plans import PlanCatalog

# While usage keeps arriving, evaluation takes at most 1/SHARE of the time, so that it does not slow ingest.
SHARE = 16
BURST_SECONDS = 0.05
MOST_PAUSE_SECONDS = 0.5
_ALERTS_PER_TRANSACTION = 500
# On SQLite, evaluated rows are deleted in batches of this many, or after this long.
_KEPT_ROWS = 2_000
_KEPT_SECONDS = 5.0


class BudgetEvaluator:
    """Evaluates all budgets of a database. Keeps the budgets and the alerts known to be raised in memory. Thread-safe."""

    def __init__(self, engine: Engine, catalog: PlanCatalog, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._catalog = catalog
        self._clock = clock
        self._index = BudgetIndex()
        self._values = SeriesValues()
        self._raised: set[AlertIdentity] = set()
        self._evaluated: dict[int, TouchedDay] = {}
        self._after = 0
        self._deleted_at = time.monotonic()
        self._lock = threading.Lock()
        self.pause_until = 0.0
        self._saved = BURST_SECONDS
        self._measured_at = time.monotonic()

    def evaluate(self) -> int:
        """Evaluate the usage since the last evaluation; return the number of alerts raised."""
        with self._lock:
            # CPU time of this thread: time spent waiting does not slow other threads.
            started = time.thread_time()
            raised = self._evaluate_touched(self._clock())
            self._schedule_pause(time.thread_time() - started)
            return raised

    def evaluate_if_due(self) -> int:
        """Evaluate unless the pause after the last evaluation is not over; for callers that ask after every commit."""
        return self.evaluate() if time.monotonic() >= self.pause_until else 0

    def evaluate_all(self) -> int:
        """Evaluate new usage, and the current period and forecast of every budget; return the number of alerts raised."""
        with self._lock:
            now = self._clock()
            raised = self._evaluate_touched(now)
            with read_snapshot(self._engine) as connection:
                accounts = self._index.accounts(connection)
            for account_id in accounts:
                raised += self._evaluate_current(account_id, now)
            return raised

    def finish(self) -> int:
        """Evaluate new usage and the forecasts of its accounts, and delete the evaluated rows; for a command that ends."""
        with self._lock:
            now = self._clock()
            with read_snapshot(self._engine) as connection:
                touched = {row.account_id for row in touched_days_after(connection).values()}
                touched.intersection_update(self._index.accounts(connection) if touched else ())
            raised = self._evaluate_touched(now)
            for account_id in sorted(touched):
                raised += self._evaluate_current(account_id, now)
            self._delete_evaluated()
            return raised

    def _schedule_pause(self, seconds: float) -> None:
        """Set the pause after an evaluation. Time saved while idle is used first, so a single event is evaluated at once."""
        now = time.monotonic()
        self._saved = min(BURST_SECONDS, self._saved + (now - self._measured_at) / SHARE) - seconds
        self._measured_at = now
        self.pause_until = now + min(SHARE * max(0.0, -self._saved), MOST_PAUSE_SECONDS)

    def _evaluate_touched(self, now: int) -> int:
        due: list[DueTriggers] = []
        alerts: list[NewAlert] = []
        with read_snapshot(self._engine) as connection:
            rows = touched_days_after(connection, after=self._after)
            if rows:
                self._index.refresh(connection)
            for account_id, touched in _by_account(rows.values()).items():
                due_in_account, alerts_of_account = self._evaluate_account(connection, account_id, touched, now)
                due += due_in_account
                alerts += alerts_of_account
        raised = self._raise(alerts, now)
        _mark_fired(due)
        self._evaluated |= rows
        self._delete_some_evaluated()
        return raised

    def _evaluate_account(
        self, connection: Connection, account_id: int, touched: Collection[TouchedDay], now: int
    ) -> tuple[list[DueTriggers], list[NewAlert]]:
        """Return the triggers that an account's budgets have reached, and the alerts to raise."""
        days = {row.event_day for row in touched}
        groups = self._index.groups_of(connection, account_id)
        spend = AccountSpend(connection, account_id, self._values, self._catalog)
        due = find_due_triggers(groups, spend, days)
        alerts = _trigger_alerts(connection, account_id, due, now) if due else []
        unpriced = {row.event_day for row in touched if row.unpriced}
        if unpriced:
            alerts += unpriced_alerts(connection, account_id, unpriced, now)
        return due, self._not_raised(connection, alerts)

    def _evaluate_current(self, account_id: int, now: int) -> int:
        """Evaluate the current periods and forecasts of an account's budgets."""
        with read_snapshot(self._engine) as connection:
            self._index.refresh(connection)
            groups = self._index.groups_of(connection, account_id)
            spend = AccountSpend(connection, account_id, self._values, self._catalog)
            due = find_due_triggers(groups, spend, {now // MICROS_PER_DAY})
            alerts = _trigger_alerts(connection, account_id, due, now) if due else []
            alerts += _forecast_alerts(connection, account_id, spend, now)
            alerts = self._not_raised(connection, alerts)
        raised = self._raise(alerts, now)
        _mark_fired(due)
        return raised

    def _not_raised(self, connection: Connection, alerts: Iterable[NewAlert]) -> list[NewAlert]:
        """Return the alerts that were not raised before, as far as this transaction can see."""
        unknown = [alert for alert in alerts if alert.identity not in self._raised]
        for type_ in sorted({alert.type for alert in unknown}):
            subjects = {alert.subject for alert in unknown if alert.type == type_}
            self._raised |= raised_among(connection, type_, subjects)
        return [alert for alert in unknown if alert.identity not in self._raised]

    def _raise(self, alerts: Sequence[NewAlert], now: int) -> int:
        raised = 0
        for start in range(0, len(alerts), _ALERTS_PER_TRANSACTION):
            part = alerts[start : start + _ALERTS_PER_TRANSACTION]
            with concurrent_write(self._engine) as connection:
                raised += sum(raise_alert(connection, alert, now=now) for alert in part)
            # After the commit, not before: see above.
            self._raised.update(alert.identity for alert in part)
        return raised

    def _delete_some_evaluated(self) -> None:
        """Delete evaluated rows: at once on a database server, where no transaction waits for it; on SQLite in batches."""
        if is_server(self._engine):
            self._delete_evaluated()
        elif self._evaluated:
            # On SQLite ids follow the order of commits: no row below the highest one is still to come.
            self._after = max(self._evaluated)
            if len(self._evaluated) >= _KEPT_ROWS or time.monotonic() - self._deleted_at >= _KEPT_SECONDS:
                self._delete_evaluated()

    def _delete_evaluated(self) -> None:
        """Delete the evaluated rows, and have the hours of past days among them summed again."""
        self._deleted_at = time.monotonic()
        if not self._evaluated:
            return
        today = self._clock() // MICROS_PER_DAY
        with concurrent_write(self._engine) as connection:
            delete_touched_days(connection, self._evaluated)
            delete_hours_of_days(connection, {row.event_day for row in self._evaluated.values() if row.event_day < today})
        self._evaluated = {}


def _mark_fired(due: Iterable[DueTriggers]) -> None:
    for each in due:
        each.group.mark_fired(each.period, each.spend.amount_nano)


def _by_account(rows: Iterable[TouchedDay]) -> dict[int, set[TouchedDay]]:
    by_account: dict[int, set[TouchedDay]] = {}
    for row in rows:
        by_account.setdefault(row.account_id, set()).add(row)
    return dict(sorted(by_account.items()))


def _trigger_alerts(connection: Connection, account_id: int, due: Iterable[DueTriggers], now: int) -> list[NewAlert]:
    """Return the alerts of due triggers in an order that is the same for every evaluator, which prevents deadlocks.

    Within one budget and period the lower threshold comes first.
    """
    account = account_with_id(connection, account_id)
    name = "" if account is None else account.name
    pairs = [(entry, each) for each in due for entry in each.entries]
    pairs.sort(key=lambda pair: (pair[0].budget_id, pair[1].period.first_day, pair[0].percent, pair[0].blocks))
    budgets = budgets_by_id(connection, {entry.budget_id for entry, _ in pairs})
    changed = amount_changes(connection, [each.id for each in budgets.values() if each.revision > 1])
    about = {each.id: BudgetSubject(each, name, changed.get(each.id, ())) for each in budgets.values()}
    return [trigger_alert(about[entry.budget_id], each.period, entry.trigger, each.spend, now) for entry, each in pairs]


def _forecast_alerts(connection: Connection, account_id: int, spend: AccountSpend, now: int) -> list[NewAlert]:
    account = account_with_id(connection, account_id)
    name = "" if account is None else account.name
    states = [(budget, state_of(budget.terms, spend, now)) for budget in forecast_budgets(connection, account_id)]
    exceeded = [(budget, state) for budget, state in states if state.is_current and state.forecast_exceeded]
    changed = amount_changes(connection, [budget.id for budget, _ in exceeded if budget.revision > 1])
    return [forecast_alert(BudgetSubject(budget, name, changed.get(budget.id, ())), state, now) for budget, state in exceeded]
