"""Events of ``unassigned`` as they would be in an account: their series there, their charge, and whether they count there yet.

The preview and the run look with the same eyes, so that one says what the other writes.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.instants import month_of
from metering.domain.statements.billing_months import billing_month_of
from metering.domain.usage.assigning import AssignmentGroup, MovedUsage
from metering.domain.usage.batches import canonical_tags
from metering.domain.usage.charging import EXEMPT, FirstCharge, first_charge, route_of
from metering.domain.usage.events import UNKNOWN, PriceGrade, QuantityGrade
from metering.domain.usage.identity import claims_of
from metering.domain.usage.series import OTHER, SeriesKey
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
    """An event that nobody is billed for: its row, the entry of the ledger that holds, and the series it would be summed in.

    ``charge`` is what it costs the account; ``claims`` are those that it made when it arrived.
    """

    row: EventRow
    entry: ChargeEntry
    wanted: SeriesKey
    quantities: Quantities
    charge: FirstCharge
    claims: list[int]

    def billed_in(self, closed_through: int | None) -> int:
        """Return the month in which the account is billed for it."""
        return billing_month_of(month_of(self.row.event_time), closed_through)

    def moved(self, closed_through: int | None) -> tuple[AssignmentGroup, MovedUsage]:
        """Return the event as one that moves to the account."""
        month, amount_nano = month_of(self.row.event_time), self.charge.amount_nano
        key = AssignmentGroup(self.wanted.provider, self.wanted.model, month, self.billed_in(closed_through))
        return key, MovedUsage(1, self.entry.amount_nano, amount_nano or 0, +(amount_nano is None))


def filter_unassigned(connection: Connection, waiting: Sequence[UnassignedEvent]) -> list[UnassignedEvent]:
    """Return those of the events that nobody has assigned or retired meanwhile, each with the entry that holds now."""
    event_ids = [each.row.id for each in waiting]
    there, later = ids_still_in_log(connection, event_ids), later_entries(connection, event_ids)
    there -= assigned_among(connection, event_ids).keys()
    return [
        replace(each, entry=later[each.row.id][-1]) if each.row.id in later else each
        for each in waiting
        if each.row.id in there
    ]


class UnassignedInspector:
    """Looks at events of ``unassigned`` with the eyes of one account: its default route, its prices."""

    def __init__(self, account: BillingAccount, book: PriceBook, declared_tags: frozenset[str]) -> None:
        self._account = account
        self._book = book
        self._declared_tags = declared_tags

    def look(self, connection: Connection, event_ids: Sequence[int]) -> list[UnassignedEvent]:
        """Return those of the events that are unassigned still, in the order of their ids."""
        rows = [row for row in events_by_id(connection, event_ids) if row.account_id == UNASSIGNED_ID]
        stated = series_by_id(connection, {row.series_id for row in rows})
        return filter_unassigned(connection, [self._waiting(row, stated[row.series_id]) for row in rows])

    def _waiting(self, row: EventRow, stated: SeriesKey) -> UnassignedEvent:
        details, quantities = details_of(row), quantities_of(row)
        wanted = self._wanted(stated, details)
        asked = replace(usage_event(row, row.route), response_id=row.response_id, inference_id=row.inference_id)
        charge = self._charge(row, details, wanted, quantities)
        return UnassignedEvent(row, first_entry(row), wanted, quantities, charge, claims_of(asked))

    def _wanted(self, stated: SeriesKey, details: dict[str, object]) -> SeriesKey:
        """Return the series as if the account had been known from the start; what the cap folded is unfolded."""
        told = {
            name: str(details.get(name, OTHER))
            for name in ("project", "key", "model", "operation")
            if getattr(stated, name) == OTHER
        }
        if stated.tags == OTHER:
            tags = details.get("tags", {})
            told["tags"] = canonical_tags(tags if isinstance(tags, dict) else {}, self._declared_tags)
        # Where a record does not state its route, that of an account nobody knows is unknown.
        route = "" if stated.route == UNKNOWN else stated.route
        told["route"] = route_of(route, stated.provider, self._account.default_route)
        return stated._replace(account_id=self._account.account_id, **told)

    def _charge(self, row: EventRow, details: dict[str, object], wanted: SeriesKey, quantities: Quantities) -> FirstCharge:
        if row.price_grade == PriceGrade.EXEMPT:
            return EXEMPT
        timeline = self._book.timeline(wanted.account_id, wanted.route, (wanted.provider, wanted.model, wanted.operation))
        rate = None if row.quantity_grade == _UNSTATED else timeline.rate_at(row.event_time, quantities.prompt_tokens)
        reported = details.get("reported_cost_nano")
        try:
            return first_charge(quantities, rate, reported if isinstance(reported, int) else None)
        except ChargeTooLargeError:
            # It is stored already: what it costs is not known, as for any other charge too large to be one.
            return first_charge(quantities, None, None)
