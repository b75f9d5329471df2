"""Which records count, which repeat others, and which complete or contradict them. Written from the rules.

An identity is (account, source, id). The same record again is a duplicate. With other content, a record that states what was
open completes the request; one that contradicts it is a conflict. A record of another source with the same response is a copy.
A request that was withdrawn counts again when its record comes again.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from simulation.oracle import Account
from simulation.oracle_usage import CountedRequest, route_of, set_cost
from simulation.scenario import ESTIMATED, MEASURED, UNSTATED, Price, Record

HOUR = 3_600
GRADES = (MEASURED, ESTIMATED, UNSTATED)
Content = tuple[object, ...]


class Entry(Struct, eq=False):
    """A record that was stored as a request. ``after`` is the entry that counts instead, ``by`` the content that caused it."""

    stored: Record
    account: Account
    request: CountedRequest
    after: "Entry | None" = None
    by: Content = ()
    withdrawn: bool = False
    recorded_twice: bool = False

    @property
    def path(self) -> "list[Entry]":
        """This entry and those that came to count instead, one after the other."""
        return [self] if self.after is None else [self, *self.after.path]

    @property
    def head(self) -> "Entry":
        """The entry that counts, unless it was withdrawn."""
        return self.path[-1]


class Holder(Struct, frozen=True):
    """Who has an identity: the content that came first, and the entry that it is counted as."""

    content: Content
    entry: Entry
    is_copy: bool = False


class Conflict(Struct):
    """A record that contradicts ``entry``, with its billing route."""

    record: Record
    entry: Entry
    route: str
    decided: bool = False


class _Known(Struct):
    """What a batch has learned about a request: what the records state together, and where the last of them was."""

    record: Record
    contents: set[Content]
    position: int = -1


class Records(Struct):
    """All records that were ingested."""

    entries: list[Entry] = field(default_factory=list)
    holders: dict[tuple[str, str, str], Holder] = field(default_factory=dict)
    conflicts: dict[tuple[object, ...], Conflict] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)

    def ingest(self, records: tuple[Record, ...], account_of: Callable[[Record], Account], prices: list[Price]) -> list[str]:
        """Store the records of a batch; return the outcome of each. New requests come before all others."""
        self.sources.update(record.source for record in records)
        outcomes = [self._first(record, account_of(record), prices) for record in records]
        learned: dict[int, _Known] = {}
        heads: dict[int, Entry] = {}
        for position, record in enumerate(records):
            if outcomes[position] == "":
                holder = self.holders[_identity(record, account_of(record))]
                heads[id(holder.entry.head)] = holder.entry.head
                outcomes[position] = self._repeated(position, record, holder, learned)
        for key, known in sorted(learned.items(), key=lambda one: one[1].position):
            if not self._replace(heads[key], known.record, _content(records[known.position]), prices):
                outcomes[known.position] = "copy"
        return outcomes

    def accept(self, conflict: Conflict, prices: list[Price]) -> str:
        """Let a record count instead of the one it contradicts."""
        head = conflict.entry.head
        if conflict.decided:
            return "already_decided"
        if head.withdrawn:
            return "nothing_to_replace"
        conflict.decided = True
        merged = replace(conflict.record, id=head.stored.id, source=head.stored.source, route=conflict.route)
        self._replace(head, merged, _content(conflict.record), prices)
        return "accepted"

    def _first(self, record: Record, account: Account, prices: list[Price]) -> str:
        """Return the outcome of a record that is new or the same again; empty if that takes a closer look."""
        identity, content = _identity(record, account), _content(record)
        holder = self.holders.get(identity)
        if holder is not None:
            withdrawn = holder.entry.head.withdrawn and not holder.is_copy
            return "duplicate" if holder.content == content and not withdrawn else ""
        original = self._original(record, account)
        entry = original or self._enter(record, account, prices)
        if original is not None:
            _mark_as_recorded_twice(original)
        self.holders[identity] = Holder(content, entry, is_copy=original is not None)
        return "accepted" if original is None else "copy"

    def _repeated(self, position: int, record: Record, holder: Holder, learned: dict[int, _Known]) -> str:
        head, content = holder.entry.head, _content(record)
        known = learned.get(id(head))
        if known is None and head.withdrawn:
            learned[id(head)] = _Known(record, {content}, position)
            return "accepted"
        if known is None:
            known = _Known(_stated(head), {entry.by for entry in holder.entry.path if entry.after is not None})
        if content in known.contents:
            return "duplicate"
        together = _together(_agreeing(known.record, record, head), record, of_several=bool(known.contents))
        if together is None:
            account = head.account
            conflict = Conflict(record, holder.entry, route_of(record, account.default_route))
            self.conflicts.setdefault((_identity(record, account), content), conflict)
            return "conflict"
        if _facts(together) == _facts(_agreeing(known.record, record, head)):
            return "duplicate"
        learned[id(head)] = _Known(together, {*known.contents, content}, position)
        return "completed"

    def _replace(self, head: Entry, record: Record, content: Content, prices: list[Price]) -> bool:
        """Let a record count instead of ``head``; return whether it is no copy of another source's."""
        original = self._original(record, head.account, besides=head)
        if head.request.counts:
            head.request.leave(head.account.closed_through)
        head.after = original or self._enter(record, head.account, prices)
        head.by = content
        if head.recorded_twice or original is not None:
            _mark_as_recorded_twice(head.after)
        return original is None

    def _enter(self, record: Record, account: Account, prices: list[Price]) -> Entry:
        request = CountedRequest(record, route_of(record, account.default_route))
        set_cost(request, prices)
        request.enter(account.billed_in(request.origin))
        account.events.append(request)
        self.entries.append(Entry(record, account, request))
        return self.entries[-1]

    def _original(self, record: Record, account: Account, besides: Entry | None = None) -> Entry | None:
        """Return the first entry of another source that is the same answer and still counts, or something in its place."""
        if not record.response_id:
            return None
        for entry in self.entries:
            same = entry.account is account and _is_same_answer(entry.stored, record)
            if same and not entry.head.withdrawn and entry.head is not besides:
                return entry
        return None


def _mark_as_recorded_twice(entry: Entry) -> None:
    for each in entry.path:
        each.recorded_twice = True


def _stated(head: Entry) -> Record:
    """Return what is known of a request. A route that follows from the account or the provider was not stated."""
    record = head.request.record
    derived = route_of(replace(record, route=""), head.account.default_route)
    return replace(record, route="" if head.request.route in ("unknown", derived) else head.request.route)


def _agreeing(known: Record, new: Record, head: Entry) -> Record:
    """Return what is known, with the route as stated if the new record states just that."""
    return replace(known, route=new.route) if route_of(known, head.account.default_route) == new.route else known


def _together(known: Record, new: Record, *, of_several: bool) -> Record | None:
    """Return what two records state together, None if they contradict. The time is that of the first."""
    if abs((known.time - new.time).total_seconds()) > HOUR:
        return None
    if not of_several and known.time != new.time and _facts(replace(new, time=known.time)) == _facts(known):
        return None
    filled: dict[str, Any] = {}
    for name, gaps in {"provider": ("unknown",), "route": ("", "unknown"), "status": (None,), "model": ("unknown",)}.items():
        stated = {getattr(each, name) for each in (known, new)} - set(gaps)
        if len(stated) > 1:
            return None
        filled[name] = stated.pop() if stated else gaps[0]
    for grade in GRADES:
        alike = [dict(each.quantities) for each in (known, new) if each.grade == grade]
        if alike:
            all_kinds = {kind for used in alike for kind in used}
            kinds = {kind: {used[kind] for used in alike if used.get(kind)} for kind in all_kinds}
            if any(len(amounts) > 1 for amounts in kinds.values()):
                return None
            filled["quantities"] = tuple(sorted((kind, amounts.pop()) for kind, amounts in kinds.items() if amounts))
            filled["grade"] = grade
            break
    reported = new.reported_nano if known.reported_nano is None else known.reported_nano
    return replace(known, **filled, response_id=known.response_id or new.response_id, reported_nano=reported)


def _facts(record: Record) -> Content:
    """Return what decides a request's cost; a route that is not known is no route."""
    route = "" if record.route == "unknown" else record.route
    return *_content(replace(record, route=route)), record.grade


def _content(record: Record) -> Content:
    used = tuple(sorted((kind, count) for kind, count in record.quantities if count))
    return record.time, record.provider, record.model, record.route, record.status, used


def _identity(record: Record, account: Account) -> tuple[str, str, str]:
    return account.name, record.source, record.id


def _is_same_answer(known: Record, record: Record) -> bool:
    same = (known.response_id, known.provider, dict(known.quantities).get("output_tokens", 0)) == (
        record.response_id, record.provider, dict(record.quantities).get("output_tokens", 0),
    )  # fmt: skip
    return same and known.source != record.source and abs(known.time - record.time).total_seconds() <= HOUR
