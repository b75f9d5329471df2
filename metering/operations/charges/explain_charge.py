"""Explain a charge: the quantities, the rate and its price table, every multiplication, the rounding, and the full history.

An event is named by account, source and ID; the source is optional if only one has an event with the ID. The event is found by
its identity, so the time this takes does not depend on the number of events.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from metering.domain.charges.explanations import ChargeExplanation, ChargeHistoryEntry, EntryType
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import format_month
from metering.domain.prices.table_versions import TableVersion
from metering.domain.usage.events import PriceGrade
from metering.domain.usage.identity import identity_in_account, identity_in_files
from metering.domain.usage.logged_events import EventQuery, LoggedEvent
from metering.domain.usage.retention import EventsRetiredError
from metering.operations.steps.unpriced import unpriced_among
from metering.operations.usage.list_events import logged_events
from metering.storage.charges.charges import LaterCharge, later_charges
from metering.storage.charges.superseded_events import heads_of
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_books import load_book
from metering.storage.prices.price_tables import load_rates
from metering.storage.prices.price_versions import versions_of_rates
from metering.storage.usage.assigned_events import assigned_among
from metering.storage.usage.copies import copies_by_id
from metering.storage.usage.event_rows import EventRow, events_by_id
from metering.storage.usage.events import stored_identities
from metering.storage.usage.retired_months import list_retired
from metering.storage.usage.series import all_sources
from pricing.breakdown import break_down


class AmbiguousEventError(DomainError):
    """Several sources have an event with the ID; ``sources`` lists them, in order."""

    code = "ambiguous_event"

    def __init__(self, event_id: str, sources: Sequence[str]) -> None:
        named = ", ".join(repr(source[:80]) for source in sources)
        super().__init__(f"several sources have an event {event_id[:80]!r}; name one of them: {named}")
        self.sources = list(sources)


def explain_charge(engine: Engine, account_id: int, event_id: str, source: str | None = None) -> ChargeExplanation:
    """Explain the charge of an account's event. ``source`` None: the only source that has an event with the ID.

    Raises NotFoundError, EventsRetiredError for an event that was retired with its month, and AmbiguousEventError.
    """
    with read_snapshot(engine) as connection:
        row = _find(connection, account_id, event_id, source)
        filters: dict[str, tuple[str | int, ...]] = {"id": (row.external_id,), "source": (row.source,)}
        query = EventQuery(account_id, row.event_time, row.event_time + 1, filters)
        event = next(iter(logged_events(connection, query, after=None, limit=1)), None)
        if event is None:
            raise _counted_elsewhere(connection, account_id, row)
        later = later_charges(connection, row.id)
        rate_ids = {rate_id for rate_id in (row.rate_id, *(charge.rate_id for charge in later)) if rate_id is not None}
        versions = versions_of_rates(connection, rate_ids)
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
    identities[identity_in_files(event_id, account_id)] = source or "a file"
    sources_by_id = {
        stored.event_id: identities[identity] for identity, stored in stored_identities(connection, sorted(identities)).items()
    }
    heads = heads_of(connection, sorted(sources_by_id))
    if any(head.withdrawn for head in heads.values()):
        raise NotFoundError(
            f"event {event_id[:80]!r} was withdrawn and no longer counts; `metering usage runs` shows by which run"
        )
    sources_by_id = {heads[each].event_id if each in heads else each: name for each, name in sources_by_id.items()}
    rows = events_by_id(connection, sorted(sources_by_id))
    copies = copies_by_id(connection, sorted(sources_by_id))
    # Identities are permanent: one without an event or a copy belonged to an event that was retired.
    retired = sources_by_id.keys() - {row.id for row in rows} - copies.keys()
    if len(rows) + len(retired) > 1:
        raise AmbiguousEventError(event_id, sorted([*(row.source for row in rows), *(sources_by_id[each] for each in retired)]))
    if rows and source is not None and rows[0].source_derived and rows[0].source != source:
        raise _is_a_copy(event_id, rows[0])
    if rows:
        return rows[0]
    for each in retired:
        _refuse_retired(connection, each, event_id)
    if copies:
        (counted,) = events_by_id(connection, [min(copies.values())])
        raise _is_a_copy(event_id, counted)
    of_source = "" if source is None else f" from source {source[:80]!r}"
    raise NotFoundError(f"the account has no event {event_id[:80]!r}{of_source}; check the ID, the account and the source")


def _is_a_copy(event_id: str, counted: EventRow) -> NotFoundError:
    return NotFoundError(
        f"{event_id[:80]!r} is a copy of event {counted.external_id[:80]!r} from source {counted.source[:80]!r}, which is"
        " counted and charged instead"
    )


def _counted_elsewhere(connection: Connection, account_id: int, row: EventRow) -> NotFoundError:
    """Return the error for an event that arrived unassigned and now counts in another place."""
    assigned = assigned_among(connection, [row.id])[row.id]
    for counted in events_by_id(connection, [assigned.counted_as]):
        if assigned.account_id == account_id:
            return _is_a_copy(row.external_id, counted)
    return NotFoundError(
        f"the event {row.external_id[:80]!r} arrived unassigned and was assigned to another account; look it up there"
    )


def _refuse_retired(connection: Connection, stored_id: int, event_id: str) -> None:
    """Raise EventsRetiredError if the event may have been retired. Names the months retired with IDs as high as its own."""
    months = sorted({each.month for each in list_retired(connection) if each.last_id >= stored_id})
    if months:
        raise EventsRetiredError(
            f"the event {event_id[:80]!r} was retired with its month (one of {', '.join(map(format_month, months))}); it still"
            " counts in spend and statements, and `metering retention list` shows where its month was exported to"
        )


def _missing(connection: Connection, event_id: int) -> str:
    book = load_book(connection)
    return next((event.why(book) for event in unpriced_among(connection, [event_id])), "")


def _first(row: EventRow, event: LoggedEvent, versions: dict[int, TableVersion]) -> ChargeHistoryEntry:
    return ChargeHistoryEntry(
        type=EntryType.CHARGE,
        amount_nano=row.charge_nano,
        price_grade=PriceGrade(row.price_grade),
        rate_id=row.rate_id,
        version=versions.get(row.rate_id),
        billing_month=row.billing_month,
        recorded_at=event.received_at,
        reason="",
        run_id=None,
    )


def _later(charge: LaterCharge, versions: dict[int, TableVersion]) -> ChargeHistoryEntry:
    grade = PriceGrade(charge.price_grade)
    return ChargeHistoryEntry(
        type=EntryType.REVERSAL if charge.sign < 0 else EntryType.REPLACEMENT,
        amount_nano=None if grade is PriceGrade.UNPRICED else charge.amount_nano,
        price_grade=grade,
        rate_id=charge.rate_id,
        version=None if charge.rate_id is None else versions[charge.rate_id],
        billing_month=charge.billing_month,
        recorded_at=charge.recorded_at,
        reason=charge.reason,
        run_id=charge.run_id,
    )
