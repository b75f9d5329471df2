"""Work out what events of ``unassigned`` would be in an account: their series there, their charge, whether they still are
unassigned.

The preview and the assignment use the same code, so the preview shows exactly what the assignment writes.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.instants import month_of
from metering.domain.statements.billing_months import billing_month_of
from metering.domain.usage.assigning import AssignmentGroup, MovedUsage
from metering.domain.usage.charging import EXEMPT, GATEWAY_CACHE, FirstCharge, first_charge, route_of
from metering.domain.usage.events import UNKNOWN, PriceGrade, QuantityGrade
from metering.domain.usage.identity import claims_of
from metering.domain.usage.series import SeriesKey
from metering.operations.steps.current_events import unfold_series
from metering.operations.steps.resolve_accounts import BillingAccount
from metering.storage.charges.charges import ChargeEntry, first_entry, later_entries
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.usage.assigned_events import assigned_among
from metering.storage.usage.event_rows import EventRow, details_of, events_by_id, ids_still_in_log, usage_event
from metering.storage.usage.series import series_by_id
from pricing.book import PriceBook
from pricing.errors import ChargeTooLargeError
from pricing.quantities import Quantities

_UNSTATED = int(QuantityGrade.UNSTATED)


class UnassignedEvent(Struct, frozen=True):
    """An event of ``unassigned``: its row, its current ledger entry, and its series and charge in the account.

    ``route`` is that of the current entry. ``claims`` are the claims that the event made when it arrived.
    """

    row: EventRow
    entry: ChargeEntry
    route: str
    target_series: SeriesKey
    quantities: Quantities
    charge: FirstCharge
    claims: list[int]

    def billed_in(self, closed_through: int | None) -> int:
        """Return the month in which the account is billed for the event."""
        return billing_month_of(month_of(self.row.event_time), closed_through)

    def moved(self, closed_through: int | None) -> tuple[AssignmentGroup, MovedUsage]:
        """Return the event as usage that moves to the account."""
        month, amount_nano = month_of(self.row.event_time), self.charge.amount_nano
        group = AssignmentGroup(self.target_series.provider, self.target_series.model, month, self.billed_in(closed_through))
        return group, MovedUsage(1, self.entry.amount_nano, amount_nano or 0, +(amount_nano is None))


def filter_unassigned(connection: Connection, candidates: Sequence[UnassignedEvent]) -> list[UnassignedEvent]:
    """Return the events that have not been assigned or retired since they were read, each with its current ledger entry.

    Events that were corrected or superseded since then are left out too.
    """
    event_ids = [each.row.id for each in candidates]
    remaining, later = ids_still_in_log(connection, event_ids), later_entries(connection, event_ids)
    remaining -= assigned_among(connection, event_ids).keys()
    current = [
        replace(each, entry=later[each.row.id][-1]) if each.row.id in later else each
        for each in candidates
        if each.row.id in remaining
    ]
    read_in = {each.row.id: each.entry.series_id for each in candidates}
    return [each for each in current if each.entry.sign > 0 and each.entry.series_id == read_in[each.row.id]]


class UnassignedInspector:
    """Evaluates events of ``unassigned`` by one account's default route and prices."""

    def __init__(self, account: BillingAccount, book: PriceBook, declared_tags: frozenset[str]) -> None:
        self._account = account
        self._book = book
        self._declared_tags = declared_tags

    def inspect(self, connection: Connection, event_ids: Sequence[int]) -> list[UnassignedEvent]:
        """Return the events that are still unassigned, ordered by ID."""
        rows = [row for row in events_by_id(connection, event_ids) if row.account_id == UNASSIGNED_ID]
        later = later_entries(connection, [row.id for row in rows])
        entries = {row.id: later[row.id][-1] if row.id in later else first_entry(row) for row in rows}
        stored = series_by_id(connection, {entry.series_id for entry in entries.values()})
        candidates = [self._candidate(row, entries[row.id], stored[entries[row.id].series_id]) for row in rows]
        return filter_unassigned(connection, candidates)

    def _candidate(self, row: EventRow, entry: ChargeEntry, stored: SeriesKey) -> UnassignedEvent:
        details, quantities = details_of(row), quantities_of(row)
        series = self._target_series(stored, details)
        event = replace(usage_event(row, row.route), response_id=row.response_id, inference_id=row.inference_id)
        charge = self._charge(row, details, series, quantities)
        return UnassignedEvent(row, entry, stored.route, series, quantities, charge, claims_of(event))

    def _target_series(self, stored: SeriesKey, details: dict[str, object]) -> SeriesKey:
        """Return the series that the event would have in the account."""
        # ``unassigned`` has no default route: an unknown route means that the record stated none.
        stated_route = "" if stored.route == UNKNOWN else stored.route
        route = route_of(stated_route, stored.provider, self._account.default_route)
        unfolded = unfold_series(stored, details, self._declared_tags)
        return unfolded._replace(account_id=self._account.account_id, route=route)

    def _charge(self, row: EventRow, details: dict[str, object], series: SeriesKey, quantities: Quantities) -> FirstCharge:
        if row.price_grade == PriceGrade.EXEMPT:
            return EXEMPT
        if row.price_grade == PriceGrade.GATEWAY_CACHE:
            return GATEWAY_CACHE
        timeline = self._book.timeline(series.account_id, series.route, (series.provider, series.model, series.operation))
        rate = None if row.quantity_grade == _UNSTATED else timeline.rate_at(row.event_time, quantities.prompt_tokens)
        reported = details.get("reported_cost_nano")
        try:
            return first_charge(quantities, rate, reported if isinstance(reported, int) else None)
        except ChargeTooLargeError:
            # The event is stored and cannot be rejected any more, so it stays unpriced.
            return first_charge(quantities, None, None)
