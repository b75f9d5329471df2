"""Explain a charge: what was used, at which price of which list, every multiplication, the rounding, and its whole history.

An event is named by account, source and id; the source may be left out where only one has an event with the id. It is found by
its identity, so that the answer takes as long with millions of events as with one.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import format_month
from metering.domain.usage.events import PriceGrade
from metering.domain.usage.identity import identity_in_account
from metering.domain.usage.logged_events import EventQuery, LoggedEvent
from metering.domain.usage.retention import EventsRetiredError
from metering.operations.steps.unpriced import unpriced_among
from metering.operations.usage.list_events import logged_events
from metering.storage.charges.charges import LaterCharge, later_charges
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import load_rates, load_tables
from metering.storage.prices.price_versions import TableVersion, versions_of_rates
from metering.storage.usage.assigned_events import assigned_among
from metering.storage.usage.copies import copies_by_id
from metering.storage.usage.event_rows import EventRow, events_by_id
from metering.storage.usage.events import stored_identities
from metering.storage.usage.retired_months import list_retired
from metering.storage.usage.series import all_sources
from pricing.book import PriceBook
from pricing.breakdown import Breakdown, break_down
from pricing.rates import Rate


class AmbiguousEventError(DomainError):
    """Several sources have an event with the id; ``sources`` names them, in order."""

    code = "ambiguous_event"

    def __init__(self, event_id: str, sources: Sequence[str]) -> None:
        named = ", ".join(repr(source[:80]) for source in sources)
        super().__init__(f"several sources have an event {event_id[:80]!r}; name one: {named}")
        self.sources = list(sources)


class ChargeHistoryEntry(Struct, frozen=True):
    """One entry of an event's history, oldest first; ``sign`` -1 takes the entry before it back.

    ``amount_nano`` is signed, None where it is not known. ``reason`` is empty for the first charge. ``version`` is the price
    list of the rate, None without one.
    """

    sign: int
    amount_nano: int | None
    price_grade: PriceGrade
    rate_id: int | None
    version: TableVersion | None
    billing_month: int
    recorded_at: int
    reason: str
    run_id: int | None
    is_first: bool = False


def entry_name(entry: ChargeHistoryEntry) -> str:
    """Return what an entry is: the first ``charge``, a ``reversal`` or a ``replacement``."""
    if entry.is_first:
        return "charge"
    return "reversal" if entry.sign < 0 else "replacement"


class ChargeExplanation(Struct, frozen=True):
    """An event with why it costs what it costs.

    ``rate``, its ``version`` and the ``breakdown`` are there where the charge is rated; ``missing`` says what keeps an unpriced
    event from being charged.
    """

    event: LoggedEvent
    rate: Rate | None
    version: TableVersion | None
    breakdown: Breakdown | None
    missing: str
    history: list[ChargeHistoryEntry]


def explain_charge(engine: Engine, account_id: int, event_id: str, source: str | None = None) -> ChargeExplanation:
    """Explain what the event with this id (of ``source``, None: of the only one that has it) costs an account.

    Raises NotFoundError for one that the account does not have, EventsRetiredError for one that left the log with its month,
    AmbiguousEventError.
    """
    with read_snapshot(engine) as connection:
        row = _find(connection, account_id, event_id, source)
        filters: dict[str, tuple[str | int, ...]] = {"id": (row.external_id,), "source": (row.source,)}
        query = EventQuery(account_id, row.event_time, row.event_time + 1, filters)
        event = next(iter(logged_events(connection, query, after=None, limit=1)), None)
        if event is None:
            raise _counted_elsewhere(connection, account_id, row)
        later = later_charges(connection, row.id)
        named = {rate_id for rate_id in (row.rate_id, *(charge.rate_id for charge in later)) if rate_id is not None}
        versions = versions_of_rates(connection, named)
        rate = None if event.rate_id is None else load_rates(connection, [event.rate_id])[event.rate_id]
        return ChargeExplanation(
            event=event,
            rate=rate,
            version=None if event.rate_id is None else versions[event.rate_id],
            breakdown=None if rate is None else break_down(event.quantities, rate),
            missing=_missing(connection, row.id) if event.price_grade is PriceGrade.UNPRICED else "",
            history=[_first(row, event, versions), *(_later(charge, versions) for charge in later)],
        )


def _find(connection: Connection, account_id: int, event_id: str, source: str | None) -> EventRow:
    sources = all_sources(connection) if source is None else [source]
    identities = {identity_in_account(each, event_id, account_id): each for each in sources}
    held = {
        stored.event_id: identities[identity] for identity, stored in stored_identities(connection, sorted(identities)).items()
    }
    rows = events_by_id(connection, sorted(held))
    copies = copies_by_id(connection, sorted(held))
    # An identity stays for ever: one that neither an event nor a copy has belonged to an event that left the log.
    gone = held.keys() - {row.id for row in rows} - copies.keys()
    if len(rows) + len(gone) > 1:
        raise AmbiguousEventError(event_id, sorted([*(row.source for row in rows), *(held[each] for each in gone)]))
    if rows:
        return rows[0]
    for each in gone:
        _refuse_retired(connection, each, event_id)
    if copies:
        (counted,) = events_by_id(connection, [min(copies.values())])
        raise _is_a_copy(event_id, counted)
    of_source = "" if source is None else f" of source {source[:80]!r}"
    raise NotFoundError(f"there is no event {event_id[:80]!r}{of_source} in this account")


def _is_a_copy(event_id: str, counted: EventRow) -> NotFoundError:
    return NotFoundError(
        f"{event_id[:80]!r} is a copy of event {counted.external_id[:80]!r} of source {counted.source[:80]!r},"
        " which is counted and charged instead"
    )


def _counted_elsewhere(connection: Connection, account_id: int, row: EventRow) -> NotFoundError:
    """Say where an event that arrived unassigned counts by now."""
    assigned = assigned_among(connection, [row.id])[row.id]
    for counted in events_by_id(connection, [assigned.counted_as]):
        if assigned.account_id == account_id:
            return _is_a_copy(row.external_id, counted)
    return NotFoundError(
        f"the event {row.external_id[:80]!r} arrived unassigned and was assigned to the account that it belongs to: ask there"
    )


def _refuse_retired(connection: Connection, stored_id: int, event_id: str) -> None:
    """Raise EventsRetiredError naming the months that may have held the event: those retired with ids as high as its own."""
    months = sorted({each.month for each in list_retired(connection) if each.last_id >= stored_id})
    if months:
        raise EventsRetiredError(
            f"the event {event_id[:80]!r} was counted and has left the log with its month (one of those retired:"
            f" {', '.join(map(format_month, months))}); its sums stay in spend and statements, and `metering retention list`"
            " says where the events were written to"
        )


def _missing(connection: Connection, event_id: int) -> str:
    book = PriceBook(load_tables(connection))
    return next((event.why(book) for event in unpriced_among(connection, [event_id])), "")


def _first(row: EventRow, event: LoggedEvent, versions: dict[int, TableVersion]) -> ChargeHistoryEntry:
    return ChargeHistoryEntry(
        sign=1,
        amount_nano=row.charge_nano,
        price_grade=PriceGrade(row.price_grade),
        rate_id=row.rate_id,
        version=versions.get(row.rate_id),
        billing_month=row.billing_month,
        recorded_at=event.received_at,
        reason="",
        run_id=None,
        is_first=True,
    )


def _later(charge: LaterCharge, versions: dict[int, TableVersion]) -> ChargeHistoryEntry:
    grade = PriceGrade(charge.price_grade)
    return ChargeHistoryEntry(
        sign=charge.sign,
        amount_nano=None if grade is PriceGrade.UNPRICED else charge.amount_nano,
        price_grade=grade,
        rate_id=charge.rate_id,
        version=None if charge.rate_id is None else versions[charge.rate_id],
        billing_month=charge.billing_month,
        recorded_at=charge.recorded_at,
        reason=charge.reason,
        run_id=charge.run_id,
    )
