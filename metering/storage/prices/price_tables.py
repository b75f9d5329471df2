"""Write price tables, and read them into a price book."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Row, and_, bindparam, func, insert, select

from metering.storage.engine.bulk import insert_all
from metering.storage.tables import price_tables, rate_prices, rate_withdrawals, rates
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, RateKey, TableKind, key_of

_NEW_RATES, _NEW_PRICES, _NEW_WITHDRAWALS = insert_all(rates), insert_all(rate_prices), insert_all(rate_withdrawals)
_NEWEST_ID = select(func.coalesce(func.max(price_tables.c.id), 0))
_RATES = select(rates).where(rates.c.id.in_(bindparam("ids", expanding=True)))
_PRICES_OF_RATES = select(rate_prices).where(rate_prices.c.rate_id.in_(bindparam("ids", expanding=True)))


def newest_table_id(connection: Connection) -> int:
    """Return the id of the newest price table, or 0. A price book loaded at this id is up to date."""
    newest: int = connection.execute(_NEWEST_ID).scalar_one()
    return newest


def record_tables(connection: Connection, tables: Iterable[PriceTable], *, now: int) -> list[int]:
    """Write the tables that are not already in effect; return the ids of the new ones.

    A recorded table is in effect unless a later one for the same list, route, account and instant covers the same prices: to
    undo a correction, record the corrected table again.
    """
    listed = list(tables)
    slots = _slots(connection, {table.source for table in listed})
    recorded = []
    for table in listed:
        digest = table.digest
        versions = slots[_slot_of(table)]
        if not _is_in_effect(connection, versions, table, digest):
            # Never earlier than the previous version, in case the clock was set back.
            at = max(now, versions[-1].recorded_at) if versions else now
            table_id = _insert_table(connection, table, digest, at)
            versions.append(_Version(table_id, at, digest))
            recorded.append(table_id)
    return recorded


def digests_by_id(connection: Connection) -> dict[int, str]:
    """Return the recorded digest of each table, oldest first."""
    rows = connection.execute(select(price_tables.c.id, price_tables.c.digest).order_by(price_tables.c.id))
    return {table_id: digest for table_id, digest in rows}  # noqa: C416 - a Row is no tuple to the type checker


class _Version(NamedTuple):
    id: int
    recorded_at: int
    digest: str


_Slot = tuple[str, int, str, int | None, int]
"""Versions with the same (source, layer, route, account, instant) correct each other."""


def _slot_of(table: PriceTable) -> _Slot:
    return table.source, int(table.layer), table.route, table.account_id, table.effective_from


def _slots(connection: Connection, sources: set[str]) -> dict[_Slot, list[_Version]]:
    """Return the versions in each slot, oldest first."""
    slots: dict[_Slot, list[_Version]] = defaultdict(list)
    statement = select(price_tables).where(price_tables.c.source.in_(sorted(sources)))
    for row in connection.execute(statement.order_by(price_tables.c.recorded_at, price_tables.c.id)):
        slot = (row.source, row.layer, row.route, row.account_id, row.effective_from)
        slots[slot].append(_Version(row.id, row.recorded_at, row.digest))
    return slots


def _is_in_effect(connection: Connection, versions: Sequence[_Version], table: PriceTable, digest: str) -> bool:
    newest = next((at for at in reversed(range(len(versions))) if versions[at].digest == digest), None)
    if newest is None:
        return False
    later = [version.id for version in versions[newest + 1 :]]
    if not later:
        return True
    if table.kind is TableKind.SNAPSHOT:
        return False
    keys = table.keys
    return not any(other.kind is TableKind.SNAPSHOT or other.keys & keys for other in load_tables(connection, later))


def load_tables(connection: Connection, ids: Collection[int] | None = None, *, after: int = 0) -> list[PriceTable]:
    """Return price tables with ``ids``, or all, oldest first. Their rates have the ids that charges refer to.

    With ``after``, only tables with ids above it, to complete a list that is already loaded.
    """
    chosen, listing = select(price_tables), select(rates)
    pricing, withdrawing = select(rate_prices), select(rate_withdrawals)
    if ids is not None or after:
        wanted = sorted(ids or ())

        def among(column: Column[int]) -> ColumnElement[bool]:
            return column > after if ids is None else and_(column.in_(wanted), column > after)

        chosen = chosen.where(among(price_tables.c.id))
        listing = listing.where(among(rates.c.table_id))
        pricing = pricing.where(rate_prices.c.rate_id.in_(select(rates.c.id).where(among(rates.c.table_id))))
        withdrawing = withdrawing.where(among(rate_withdrawals.c.table_id))
    prices: dict[int, dict[str, Price]] = defaultdict(dict)
    for rate_id, quantity, price_pico, block in connection.execute(pricing):
        prices[rate_id][quantity] = Price(price_pico, block)
    listed: dict[int, list[Rate]] = defaultdict(list)
    for row in connection.execute(listing.order_by(rates.c.id)):
        listed[row.table_id].append(_rate(row, prices[row.id]))
    withdrawn: dict[int, set[RateKey]] = defaultdict(set)
    for table_id, provider, model, operation in connection.execute(withdrawing):
        withdrawn[table_id].add((provider, model, operation))
    return [
        PriceTable(
            id=row.id,
            source=row.source,
            layer=Layer(row.layer),
            route=row.route,
            account_id=row.account_id,
            kind=TableKind(row.kind),
            effective_from=row.effective_from,
            recorded_at=row.recorded_at,
            rates=tuple(listed[row.id]),
            withdrawn=frozenset(withdrawn[row.id]),
        )
        for row in connection.execute(chosen.order_by(price_tables.c.id))
    ]


def table_ids(connection: Connection, source: str, layer: Layer, *, until: int) -> list[int]:
    """Return the tables of one source in one layer that took effect by ``until`` (microseconds UTC), oldest first.

    They begin with the newest snapshot, because it withdraws whatever it does not list.
    """
    statement = (
        select(price_tables.c.id, price_tables.c.kind)
        .where(price_tables.c.source == source, price_tables.c.layer == int(layer), price_tables.c.effective_from <= until)
        .order_by(price_tables.c.effective_from, price_tables.c.recorded_at, price_tables.c.id)
    )
    found = list(connection.execute(statement))
    snapshot = max((at for at, row in enumerate(found) if row.kind == TableKind.SNAPSHOT), default=0)
    return [row.id for row in found[snapshot:]]


def account_table_sources(connection: Connection, ids: Collection[int]) -> dict[int, str]:
    """Return the source of each of the given tables that belongs to one account."""
    wanted = price_tables.c.id.in_(sorted(ids))
    statement = select(price_tables.c.id, price_tables.c.source).where(wanted, price_tables.c.account_id.is_not(None))
    return {table_id: source for table_id, source in connection.execute(statement)}  # noqa: C416 - a Row is no tuple to mypy


def ids_of_sources(connection: Connection, sources: Collection[str]) -> list[int]:
    """Return the tables of the given sources, oldest first."""
    statement = select(price_tables.c.id).where(price_tables.c.source.in_(sorted(sources))).order_by(price_tables.c.id)
    return list(connection.execute(statement).scalars())


def table_by_digest(connection: Connection, digest: str) -> int:
    """Return the id of the newest recorded table with this content."""
    statement = select(price_tables.c.id).where(price_tables.c.digest == digest)
    newest = statement.order_by(price_tables.c.recorded_at.desc(), price_tables.c.id.desc()).limit(1)
    table_id: int = connection.execute(newest).scalar_one()
    return table_id


def load_rates(connection: Connection, ids: Collection[int]) -> dict[int, Rate]:
    """Return the rates with the given ids."""
    wanted = sorted(ids)
    prices: dict[int, dict[str, Price]] = defaultdict(dict)
    for rate_id, quantity, price_pico, block in connection.execute(_PRICES_OF_RATES, {"ids": wanted}):
        prices[rate_id][quantity] = Price(price_pico, block)
    rows = connection.execute(_RATES, {"ids": wanted})
    return {row.id: _rate(row, prices[row.id]) for row in rows}


def _rate(row: Row[Any], prices: dict[str, Price]) -> Rate:
    return Rate(
        id=row.id,
        table_id=row.table_id,
        provider=row.provider,
        model=row.model,
        operation=row.operation,
        context_from=row.context_from,
        source=row.source,
        prices=prices,
    )


def _insert_table(connection: Connection, table: PriceTable, digest: str, now: int) -> int:
    table_id: int = connection.execute(
        insert(price_tables)
        .values(
            source=table.source,
            layer=int(table.layer),
            route=table.route,
            account_id=table.account_id,
            kind=table.kind.value,
            effective_from=table.effective_from,
            recorded_at=now,
            digest=digest,
        )
        .returning(price_tables.c.id)
    ).scalar_one()
    _insert_rates(connection, table_id, table.rates)
    _NEW_WITHDRAWALS.run(connection, [(table_id, *key) for key in sorted(table.withdrawn)])
    return table_id


def _insert_rates(connection: Connection, table_id: int, listed: Sequence[Rate]) -> None:
    """Write rates and their prices in bulk. The database assigns the ids, which are read back under the write lock."""
    _NEW_RATES.run(
        connection,
        [(None, table_id, rate.provider, rate.model, rate.operation, rate.context_from, rate.source) for rate in listed],
    )
    assigned = select(rates.c.provider, rates.c.model, rates.c.operation, rates.c.context_from, rates.c.id)
    ids = {
        (provider, model, operation, size): rate_id
        for provider, model, operation, size, rate_id in connection.execute(assigned.where(rates.c.table_id == table_id))
    }
    _NEW_PRICES.run(
        connection,
        [
            (ids[*key_of(rate), rate.context_from], quantity, price.pico, price.block)
            for rate in listed
            for quantity, price in rate.prices.items()
        ],
    )


def names_in_rates(connection: Connection, dimension: str) -> set[str]:
    """Return every provider, or every model, in the price lists."""
    return set(connection.execute(select(rates.c[dimension]).distinct()).scalars())
