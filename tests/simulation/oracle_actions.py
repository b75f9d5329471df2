"""The expected outcome of each action: its answer, and what is known afterwards."""

from datetime import datetime

from msgspec.structs import replace

from simulation.oracle import Account, BilledAdjustment
from simulation.oracle_corrections import Run, correct, undo, withdraw
from simulation.oracle_credits import KnownGrant, end
from simulation.oracle_plans import month_of, terms
from simulation.oracle_repeats import Records
from simulation.oracle_usage import charge_unpriced, re_rate
from simulation.scenario import (
    Action,
    Adjust,
    Close,
    CloseDue,
    Correct,
    Decide,
    Grant,
    Ingest,
    Price,
    RateUnpriced,
    Record,
    RecordElsewhere,
    Rerate,
    SetPlan,
    Undo,
    Void,
    Withdraw,
    conflict_order,
)

UNASSIGNED = "unassigned"
DONE = "done"
INVALID = "invalid_request"
OUTCOMES = ("accepted", "duplicate", "copy", "completed", "conflict")


class Oracle:
    """Follows a scenario. ``do`` answers as the service must: with a word, or the code of the error."""

    def __init__(self, accounts: tuple[tuple[str, str], ...]) -> None:
        self.accounts = {name: Account(name, route) for name, route in accounts}
        self.unassigned = Account(UNASSIGNED)
        self.prices: list[Price] = []
        self._records = Records()
        self._runs: list[Run] = []

    def do(self, action: Action, at: datetime) -> str:
        """Apply an action; return its answer."""
        match action:
            case Ingest():
                return self._ingest(action, at)
            case Price() | RateUnpriced() | Rerate():
                return self._charge(action)
            case CloseDue():
                return self._close_due(action, at)
            case Correct() | Withdraw() | Undo():
                return self._correct(action)
            case Decide():
                return self._decide(action)
            case SetPlan() | Grant() | Void() | RecordElsewhere() | Adjust() | Close():
                return self._of_account(self.accounts[action.account], action, at)
            case _:
                return DONE

    def _charge(self, action: Price | RateUnpriced | Rerate) -> str:
        match action:
            case Price():
                self.prices.append(action)
                return self._rate(action.account) if action.then_rate else DONE
            case RateUnpriced():
                return self._rate(action.account)
            case Rerate():
                return self._rerate(action)

    def _of_account(self, account: Account, action: Action, at: datetime) -> str:
        match action:
            case SetPlan():
                return _set_plan(account, action, at)
            case Grant():
                return _grant(account, action)
            case Void():
                return _void(account, action, at)
            case RecordElsewhere():
                if account.elsewhere[action.month] + action.nano < 0:
                    return INVALID
                account.elsewhere[action.month] += action.nano
                return DONE
            case Adjust():
                return _adjust(account, action, at)
            case Close():
                return _close(account, action, at)
        raise TypeError(action)

    def _ingest(self, action: Ingest, at: datetime) -> str:
        for record in action.records:
            account = self._account_of(record)
            account.first_ingest = account.first_ingest or at
        outcomes = self._records.ingest(action.records, self._account_of, self.prices)
        return str({outcome: outcomes.count(outcome) for outcome in OUTCOMES})

    def _account_of(self, record: Record) -> Account:
        return self.accounts.get(record.account, self.unassigned)

    def _correct(self, action: Correct | Withdraw | Undo) -> str:
        match action:
            case Correct():
                run = correct(self._records, action, self.prices)
            case Withdraw():
                if not action.where and action.source is None and action.start is None:
                    return INVALID
                if action.source is not None and action.source not in self._records.sources:
                    return "not_found"
                run = withdraw(self._records, action)
            case Undo():
                if action.run >= len(self._runs):
                    return "not_found"
                undone = self._runs[action.run]
                if undone.undone or undone.is_restore:
                    return INVALID
                run = undo(undone)
        self._runs.append(run)
        return str(run)

    def _decide(self, action: Decide) -> str:
        conflicts = sorted(
            self._records.conflicts.values(), key=lambda each: conflict_order(each.entry.account.name, each.record)
        )
        if action.conflict >= len(conflicts):
            return "not_found"
        conflict = conflicts[action.conflict]
        if action.accept:
            return self._records.accept(conflict, self.prices)
        if conflict.decided:
            return "already_decided"
        conflict.decided = True
        return "dismissed"

    def _rate(self, name: str | None) -> str:
        for account in self._named(name):
            for event in account.events:
                charge_unpriced(event, self.prices, account.closed_through)
        return DONE

    def _rerate(self, action: Rerate) -> str:
        for account in self._named(action.account):
            for event in account.events:
                re_rate(event, self.prices, account.closed_through, include_reported=action.include_reported)
        return DONE

    def _named(self, name: str | None) -> list[Account]:
        return [*self.accounts.values(), self.unassigned] if name is None else [self.accounts[name]]

    def _close_due(self, action: CloseDue, at: datetime) -> str:
        failures = []
        for account in self.accounts.values():
            while account.due(at):
                month = account.next_open or 0
                if account.has_unpriced(month) and not action.allow_unpriced:
                    failures.append((account.name, month, "unpriced_usage"))
                    break
                account.close(month)
        return str(failures)


def _set_plan(account: Account, action: SetPlan, at: datetime) -> str:
    if action.seats < 1:
        return INVALID
    if action.seats > 1 and not terms(action.plan, action.day).per_seat:
        return "invalid_plan"
    if account.closed_through is not None and month_of(action.day) <= account.closed_through:
        return "month_closed"
    account.plan_changes.append(action)
    account.last_plan_or_adjustment = at
    return DONE


def _grant(account: Account, action: Grant) -> str:
    if action.expires_at is not None and action.expires_at <= action.granted_at:
        return INVALID
    for known in account.grants:
        if known.reference == action.reference:
            return DONE if (known.kind, known.nano) == (action.kind, action.nano) else "already_exists"
    order = len(account.grants)
    account.grants.append(KnownGrant(action.reference, action.kind, action.nano, action.granted_at, action.expires_at, order))
    return DONE


def _void(account: Account, action: Void, at: datetime) -> str:
    for grant in account.grants:
        if grant.reference == action.reference:
            if grant.expires_at is not None and grant.expires_at <= at:
                return INVALID
            left = account.left(grant, at)
            wanted = left if action.nano is None else action.nano
            if not left or wanted > left:
                return "credits_overdrawn"
            grant.voided += wanted
            return f"voided {wanted}"
    return "not_found"


def _adjust(account: Account, action: Adjust, at: datetime) -> str:
    if action.month > month_of(at.date()) or action.nano == 0:
        return INVALID
    for known in account.adjusted:
        if known.adjustment.reference == action.reference:
            return DONE if replace(action, reference=known.adjustment.reference) == known.adjustment else "already_exists"
    account.adjusted.append(BilledAdjustment(action, account.billed_in(action.month)))
    account.last_plan_or_adjustment = at
    return DONE


def _close(account: Account, action: Close, at: datetime) -> str:
    while action.month not in account.closed:
        month = account.next_open
        if at < end(action.month):
            return "month_not_over"
        if month is None or action.month < month:
            return "nothing_to_close"
        if month < action.month and not action.with_earlier:
            return "earlier_months_open"
        if account.has_unpriced(month) and not action.allow_unpriced:
            return "unpriced_usage"
        account.close(month)
    return DONE
