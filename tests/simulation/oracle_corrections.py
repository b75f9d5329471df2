"""Corrections, withdrawals and what undoes them. Written from the rules.

A correction gives the requests that it chooses other values and their cost there; a withdrawal takes them back, unless another
source recorded them too. Undoing gives every request its values and its cost from before back, if it still is as the run left
it.
"""

from collections.abc import Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from simulation.oracle_repeats import Entry, Records
from simulation.oracle_usage import State, billed_in, move
from simulation.scenario import Correct, Price, Withdraw


class Change(Struct):
    """A request that a run changed."""

    entry: Entry
    before: State
    after: State


class Run(Struct):
    """A correction, a withdrawal, or what undoes one."""

    is_withdrawal: bool = False
    is_restore: bool = False
    undone: bool = False
    kept: int = 0
    changes: list[Change] = field(default_factory=list)

    def __str__(self) -> str:
        before = sum(_nano(change.before) for change in self.changes)
        after = sum(_nano(change.after) for change in self.changes)
        return f"changed {len(self.changes)}, kept {self.kept}, from {before} to {after}"


def correct(records: Records, action: Correct, prices: list[Price]) -> Run:
    """Correct usage."""
    run = Run()
    changes = dict(action.changes)
    for entry in _chosen(records, action):
        request = entry.request
        if any(_values(entry)[name] != value for name, value in changes.items()):
            before = request.state
            move(request, changes, prices, entry.account.closed_through)
            run.changes.append(Change(entry, before, request.state))
    return run


def withdraw(records: Records, action: Withdraw) -> Run:
    """Withdraw usage."""
    run = Run(is_withdrawal=True)
    for entry in _chosen(records, action):
        if entry.recorded_twice:
            run.kept += 1
            continue
        before = entry.request.state
        entry.request.leave(entry.account.closed_through)
        entry.withdrawn = True
        run.changes.append(Change(entry, before, entry.request.state))
    return run


def undo(undone: Run) -> Run:
    """Undo a run."""
    run = Run(is_restore=undone.is_withdrawal)
    for change in undone.changes:
        entry, request = change.entry, change.entry.request
        if entry.after is not None or request.state != change.after:
            run.kept += 1
            continue
        closed = entry.account.closed_through
        month = request.leave(closed) if request.counts else billed_in(request.origin, closed)
        before = change.before
        request.route, request.nano, request.is_reported = before.route, before.nano, before.is_reported
        request.record = replace(request.record, provider=before.provider, model=before.model)
        request.enter(month)
        entry.withdrawn = False
        run.changes.append(Change(entry, change.after, request.state))
    undone.undone = True
    return run


def _chosen(records: Records, action: Correct | Withdraw) -> Iterator[Entry]:
    for entry in records.entries:
        request, values = entry.request, _values(entry)
        started = action.start is None or request.record.time >= action.start
        ended = isinstance(action, Withdraw) or action.end is None or request.record.time < action.end
        of_source = isinstance(action, Correct) or action.source in (None, entry.stored.source)
        meant = all(values[name] == value for name, value in action.where)
        if request.counts and entry.account.name == action.account and started and ended and of_source and meant:
            yield entry


def _values(entry: Entry) -> dict[str, str]:
    request = entry.request
    return {"provider": request.record.provider, "model": request.record.model, "route": request.route}


def _nano(state: State) -> int:
    return state.nano if state.counts and state.nano is not None else 0
