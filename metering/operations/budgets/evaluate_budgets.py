"""Judge budgets: raise what the usage that was counted since the last time has reached, each once for ever.

What was counted is noted in the transaction that counts it, so that a crash before judging loses nothing: whoever judges next
finds the notes. Two processes may judge the same at once; the uniqueness of alerts decides that one of them raises it. Judging
reads one state of the database and writes only where there is something to tell.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from sqlalchemy import Connection, Engine

from metering.domain.instants import MICROS_PER_DAY
from metering.operations.budgets.account_spend import AccountSpend, SeriesValues
from metering.operations.budgets.budget_alerts import forecast_alert, reached_alert
from metering.operations.budgets.budget_index import BudgetIndex
from metering.operations.budgets.budget_states import state_of
from metering.operations.budgets.find_due_triggers import DueTrigger, find_due_triggers
from metering.operations.steps.alert_unpriced import unpriced_alerts
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.alerts import NewAlert, raised_among
from metering.storage.budgets.budgets import budgets_by_id, forecast_budgets
from metering.storage.charges.hour_sums import delete_hours_of_days
from metering.storage.charges.touched_days import TouchedDay, delete_touched_days, touched_days_after
from metering.storage.engine.database import concurrent_write, is_server, read_snapshot
from pricing.plans import PlanCatalogue

# Judging takes at most one part in so many of the time while usage keeps coming in, so that ingest does not feel it.
SHARE = 16
BURST_SECONDS = 0.05
MOST_PAUSE_SECONDS = 0.5
_ALERTS_A_TRANSACTION = 500
_KEPT_NOTES = 2_000
_KEPT_SECONDS = 5.0


class BudgetEvaluator:
    """Judges all budgets of a database; keeps them, and what it knows to be told, in memory. Safe to use from threads."""

    def __init__(self, engine: Engine, catalogue: PlanCatalogue, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._clock = clock
        self._index = BudgetIndex()
        self._values = SeriesValues()
        self._told: set[tuple[str, str, str, int]] = set()
        self._judged: dict[int, TouchedDay] = {}
        self._after = 0
        self._forgot_at = time.monotonic()
        self._lock = threading.Lock()
        self.pause_until = 0.0
        self._saved = BURST_SECONDS
        self._rested_at = time.monotonic()

    def judge(self) -> int:
        """Judge what was touched since the last time; return how many alerts were raised."""
        with self._lock:
            # The thread's own time: what it waited for others is no burden to them.
            began = time.thread_time()
            raised = self._judge_notes(self._clock())
            self._rest(time.thread_time() - began)
            return raised

    def judge_if_due(self) -> int:
        """Judge, unless that was done a moment ago: for whoever asks after each of many commits."""
        return self.judge() if time.monotonic() >= self.pause_until else 0

    def evaluate_all(self) -> int:
        """Judge what was touched, the present period of every budget, and its forecast; return how many alerts were raised."""
        with self._lock:
            now = self._clock()
            raised = self._judge_notes(now)
            with read_snapshot(self._engine) as connection:
                accounts = self._index.accounts(connection)
            for account_id in accounts:
                raised += self._judge_present(account_id, now)
            return raised

    def finish(self) -> int:
        """Judge what was touched with its forecasts, and take the notes away: for a command that ends."""
        with self._lock:
            now = self._clock()
            with read_snapshot(self._engine) as connection:
                touched = {note.account_id for note in touched_days_after(connection).values()}
                touched.intersection_update(self._index.accounts(connection) if touched else ())
            raised = self._judge_notes(now)
            for account_id in sorted(touched):
                raised += self._judge_present(account_id, now)
            self._forget()
            return raised

    def _rest(self, took: float) -> None:
        """Say until when to rest. What was saved while little came in is spent first: a single event is judged at once."""
        now = time.monotonic()
        self._saved = min(BURST_SECONDS, self._saved + (now - self._rested_at) / SHARE) - took
        self._rested_at = now
        self.pause_until = now + min(SHARE * max(0.0, -self._saved), MOST_PAUSE_SECONDS)

    def _judge_notes(self, now: int) -> int:
        due: list[DueTrigger] = []
        alerts: list[NewAlert] = []
        with read_snapshot(self._engine) as connection:
            notes = touched_days_after(connection, after=self._after)
            if notes:
                self._index.refresh(connection)
            for account_id, of_account in _by_account(notes.values()).items():
                found, told = self._look(connection, account_id, of_account, now)
                due += found
                alerts += told
        raised = self._raise(alerts, now)
        for each in due:
            each.group.note_told(each.period, each.spend.amount_nano)
        self._judged |= notes
        self._forget_some()
        return raised

    def _look(
        self, connection: Connection, account_id: int, notes: Collection[TouchedDay], now: int
    ) -> tuple[list[DueTrigger], list[NewAlert]]:
        """Return what budgets of an account have reached, and the alerts that tell it."""
        days = {note.event_day for note in notes}
        families = self._index.families_of(connection, account_id)
        spend = AccountSpend(connection, account_id, self._values, self._catalogue)
        due = find_due_triggers(families, spend, days)
        alerts = _reached_alerts(connection, account_id, due, now) if due else []
        unpriced = {note.event_day for note in notes if note.unpriced}
        if unpriced:
            alerts += unpriced_alerts(connection, account_id, unpriced, now)
        return due, self._not_told(connection, alerts)

    def _judge_present(self, account_id: int, now: int) -> int:
        """Judge the present periods of an account's budgets, and their forecasts."""
        with read_snapshot(self._engine) as connection:
            self._index.refresh(connection)
            families = self._index.families_of(connection, account_id)
            spend = AccountSpend(connection, account_id, self._values, self._catalogue)
            due = find_due_triggers(families, spend, {now // MICROS_PER_DAY})
            alerts = _reached_alerts(connection, account_id, due, now) if due else []
            alerts += _forecast_alerts(connection, account_id, spend, now)
            alerts = self._not_told(connection, alerts)
        raised = self._raise(alerts, now)
        for each in due:
            each.group.note_told(each.period, each.spend.amount_nano)
        return raised

    def _not_told(self, connection: Connection, alerts: Iterable[NewAlert]) -> list[NewAlert]:
        """Return those that were not raised before, as far as this transaction sees."""
        unknown = [alert for alert in alerts if _identity(alert) not in self._told]
        for type_ in sorted({alert.type for alert in unknown}):
            subjects = {alert.subject for alert in unknown if alert.type == type_}
            self._told.update((type_, *raised) for raised in raised_among(connection, type_, subjects))
        return [alert for alert in unknown if _identity(alert) not in self._told]

    def _raise(self, alerts: Sequence[NewAlert], now: int) -> int:
        raised = 0
        for start in range(0, len(alerts), _ALERTS_A_TRANSACTION):
            part = alerts[start : start + _ALERTS_A_TRANSACTION]
            with concurrent_write(self._engine) as connection:
                raised += sum(raise_alert(connection, alert, now=now) for alert in part)
            self._told.update(map(_identity, part))
        return raised

    def _forget_some(self) -> None:
        """Take notes away: at once where that makes nobody wait, else many at a time."""
        if is_server(self._engine):
            self._forget()
        elif self._judged:
            # On SQLite ids tell the order of commits, so that none below the last one is still to come.
            self._after = max(self._judged)
            if len(self._judged) >= _KEPT_NOTES or time.monotonic() - self._forgot_at >= _KEPT_SECONDS:
                self._forget()

    def _forget(self) -> None:
        """Take away the notes that were judged; of days that are over the hours are to be summed anew."""
        self._forgot_at = time.monotonic()
        if not self._judged:
            return
        today = self._clock() // MICROS_PER_DAY
        with concurrent_write(self._engine) as connection:
            delete_touched_days(connection, self._judged)
            delete_hours_of_days(connection, {note.event_day for note in self._judged.values() if note.event_day < today})
        self._judged = {}


def _by_account(notes: Iterable[TouchedDay]) -> dict[int, set[TouchedDay]]:
    found: dict[int, set[TouchedDay]] = {}
    for note in notes:
        found.setdefault(note.account_id, set()).add(note)
    return dict(sorted(found.items()))


def _reached_alerts(connection: Connection, account_id: int, due: Iterable[DueTrigger], now: int) -> list[NewAlert]:
    """Return the alerts in one order for all who judge, so that two of them never wait for each other in a circle.

    Of one budget and period the lower threshold comes first.
    """
    account = account_with_id(connection, account_id)
    name = "" if account is None else account.name
    found = [(entry, each) for each in due for entry in each.entries]
    found.sort(key=lambda pair: (pair[0].budget_id, pair[1].period.first_day, pair[0].percent, pair[0].blocks))
    rows = budgets_by_id(connection, {entry.budget_id for entry, _ in found})
    return [reached_alert(rows[entry.budget_id], name, each.period, entry.trigger, each.spend, now) for entry, each in found]


def _forecast_alerts(connection: Connection, account_id: int, spend: AccountSpend, now: int) -> list[NewAlert]:
    account = account_with_id(connection, account_id)
    name = "" if account is None else account.name
    found = [(row, state_of(row.terms, spend, now)) for row in forecast_budgets(connection, account_id)]
    return [forecast_alert(row, name, state, now) for row, state in found if state.is_present and state.forecast_exceeded]


def _identity(alert: NewAlert) -> tuple[str, str, str, int]:
    return alert.type, alert.subject, alert.period, alert.threshold
