"""Answers to Hugging Face's Billing API, and the requests that it can ask about by their IDs."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import Connection

from metering.domain.usage.identity import identity_in_account
from metering.storage.charges.charged_events import current_replacements
from metering.storage.charges.superseded_events import heads_of
from metering.storage.engine.backend import PerBackend, backend_of
from metering.storage.engine.bulk import insert_new
from metering.storage.engine.sql import fetch_rows, is_in_list, list_parameter
from metering.storage.tables import billing_answers
from metering.storage.usage.events import stored_identities
from metering.storage.usage.series import all_sources

_INSERT = insert_new(billing_answers)
_INSERT_ON_POSTGRES = """
INSERT INTO billing_answers (request_key, account_id, event_id, cost_nano, answered_at)
SELECT new.request_key, %s, new.event_id, new.cost_nano, %s
FROM unnest(CAST(%s AS uuid[]), CAST(%s AS bigint[]), CAST(%s AS bigint[])) AS new(request_key, event_id, cost_nano)
ORDER BY new.request_key
ON CONFLICT DO NOTHING
"""
_ANSWERED = "SELECT {key}, cost_nano FROM billing_answers WHERE request_key {among}"
_ANSWERED_ON_POSTGRES = _ANSWERED.format(key="uuid_send(request_key)", among="= ANY(CAST(? AS uuid[]))")
_KEYS_PER_QUERY = 5_000


class AskedRequest(NamedTuple):
    """A request that was asked about, with the charge that holds now."""

    event_id: int
    series_id: int
    charge_nano: int
    price_grade: int
    status: int | None
    quantity_grade: int


_EXPRESSIONS = {"event_id": "events.id", "charge_nano": "coalesce(events.charge_nano, 0)"}
_COLUMNS = ", ".join(_EXPRESSIONS.get(name, f"events.{name}") for name in AskedRequest._fields)
_BY_EVENT = f"SELECT {_COLUMNS} FROM events WHERE events.id {{among}} AND events.event_time >= ?"
_BY_ID = f"""
SELECT wanted.value, {_COLUMNS} FROM events JOIN {{wanted}} ON wanted.value = events.{{column}}
WHERE events.account_id = ? AND events.event_time >= ? AND events.{{column}} <> ''
    AND events.id NOT IN (SELECT event_id FROM superseded_events)
"""
_ASSIGNED_BY_ID = f"""
SELECT wanted.value, {_COLUMNS} FROM assigned_events AS assigned
JOIN events ON events.id = assigned.event_id AND events.event_time = assigned.event_time
JOIN {{wanted}} ON wanted.value = events.{{column}}
WHERE assigned.account_id = ? AND assigned.event_time >= ? AND assigned.counted_as = events.id AND events.{{column}} <> ''
    AND events.id NOT IN (SELECT event_id FROM superseded_events)
"""
_COPIES = "SELECT id, copy_of FROM event_copies WHERE id {among}"
# Records of another source that arrived unassigned and repeat an event.
_REPEATS = "SELECT event_id, counted_as FROM assigned_events WHERE event_id {among} AND counted_as <> event_id"
_OF_PERIOD = """
SELECT events.inference_id, events.response_id, events.external_id, billing_answers.cost_nano
FROM billing_answers JOIN events ON events.id = billing_answers.event_id
WHERE billing_answers.account_id = ? AND events.event_time >= ? AND events.event_time < ?
ORDER BY events.event_time, events.id
"""


_KeyedAnswer = tuple[bytes, int, int]
"""(key, event id, nano-USD)."""


def request_key(account_id: int, request_id: str) -> bytes:
    """Return the 16 bytes that the answer for a request ID of an account is stored under."""
    return blake2b(f"{account_id}\x1f{request_id}".encode(), digest_size=16).digest()


def insert_answers(connection: Connection, account_id: int, answers: Iterable[tuple[bytes, int, int]], *, now: int) -> int:
    """Append (key, event id, nano-USD) in the order of the keys; return how many were new. Earlier answers are kept."""
    return _INSERT_ANSWERS.of(connection)(connection, account_id, sorted(answers), now)


def answered_costs(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    """Return the costs that were answered for keys."""
    return _ANSWERED_COSTS.of(connection)(connection, keys)


def requests_with_ids(connection: Connection, account_id: int, ids: Sequence[str], *, since: int) -> dict[str, AskedRequest]:
    """Return the account's requests since an instant that any source recorded under these IDs.

    For a copy, the event that counts is returned.
    """
    found: dict[str, AskedRequest] = {}
    for source in all_sources(connection):
        left = [each for each in ids if each not in found]
        if not left:
            break
        identities = {identity_in_account(source, each, account_id): each for each in left}
        stored = {identities[key]: value.event_id for key, value in stored_identities(connection, list(identities)).items()}
        ids_stored = (list_parameter(connection, stored.values()),)
        copies = dict(fetch_rows(connection, _COPIES.format(among=is_in_list(connection)), ids_stored))
        copies |= dict(fetch_rows(connection, _REPEATS.format(among=is_in_list(connection)), ids_stored))
        counted = {request_id: copies.get(event_id, event_id) for request_id, event_id in stored.items()}
        heads = heads_of(connection, sorted(set(counted.values())))
        events_of = {
            request_id: heads[event_id].event_id if event_id in heads else event_id
            for request_id, event_id in counted.items()
            if event_id not in heads or not heads[event_id].withdrawn
        }
        sql = _BY_EVENT.format(among=is_in_list(connection))
        rows = fetch_rows(connection, sql, (list_parameter(connection, events_of.values()), since))
        requests = _with_current_charges(connection, rows)
        found.update({name: requests[event_id] for name, event_id in events_of.items() if event_id in requests})
    return found


def requests_with_provider_ids(
    connection: Connection, account_id: int, ids: Sequence[str], *, since: int
) -> dict[str, AskedRequest]:
    """Return the account's requests since an instant with one of these as ``Inference-Id`` or response ID.

    Those IDs have no index, so all requests of the account since then are scanned.
    """
    found: dict[str, AskedRequest] = {}
    backend = backend_of(connection)
    for column in ("inference_id", "response_id"):
        left = [each for each in ids if each not in found]
        if not left:
            break
        wanted, parameters = backend.text_table, (backend.text_list(left), account_id, since)
        rows = fetch_rows(connection, _BY_ID.format(wanted=wanted, column=column), parameters)
        rows += fetch_rows(connection, _ASSIGNED_BY_ID.format(wanted=wanted, column=column), parameters)
        requests = _with_current_charges(connection, [event for _, *event in rows])
        found.update({request_id: requests[event_id] for request_id, event_id, *_ in rows})
    return found


def answers_of_period(connection: Connection, account_id: int, start: int, end: int) -> Iterator[tuple[str, int]]:
    """Yield (request ID, nano-USD) of the answers about requests of a period, by event time."""
    for inference_id, response_id, own_id, cost in fetch_rows(connection, _OF_PERIOD, (account_id, start, end)):
        yield inference_id or response_id or own_id, cost


def _with_current_charges(connection: Connection, rows: Sequence[Sequence[Any]]) -> dict[int, AskedRequest]:
    requests = [AskedRequest(*row) for row in rows]
    replacements = current_replacements(connection, [request.event_id for request in requests])
    found = {}
    for request in requests:
        current = replacements.get(request.event_id)
        if current is not None:
            request = request._replace(  # noqa: PLW2901 - the current charge replaces the first one
                series_id=current.series_id, charge_nano=current.amount_nano, price_grade=current.price_grade
            )
        found[request.event_id] = request
    return found


def _array(values: Iterable[object]) -> str:
    """Return numbers or hexadecimal digits as a PostgreSQL array literal; the driver would inspect each element of a list."""
    return f"{{{','.join(map(str, values))}}}"


def _insert_rows(connection: Connection, account_id: int, rows: Sequence[_KeyedAnswer], now: int) -> int:
    return _INSERT.run(connection, [(bytearray(key), account_id, event_id, cost, now) for key, event_id, cost in rows])


def _insert_arrays(connection: Connection, account_id: int, rows: Sequence[_KeyedAnswer], now: int) -> int:
    keys, event_ids, costs = (_array(column) for column in zip(*((key.hex(), *rest) for key, *rest in rows), strict=True))
    return connection.exec_driver_sql(_INSERT_ON_POSTGRES, (account_id, now, keys, event_ids, costs)).rowcount


def _costs_in_parts(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    costs: dict[bytes, int] = {}
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        part = keys[start : start + _KEYS_PER_QUERY]
        sql = _ANSWERED.format(key="request_key", among=f"IN ({', '.join('?' * len(part))})")
        costs.update(fetch_rows(connection, sql, tuple(part)))
    return costs


def _costs_from_array(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    return dict(fetch_rows(connection, _ANSWERED_ON_POSTGRES, (_array(key.hex() for key in keys),)))


_INSERT_ANSWERS = PerBackend(sqlite=_insert_rows, postgres=_insert_arrays)
_ANSWERED_COSTS = PerBackend(sqlite=_costs_in_parts, postgres=_costs_from_array)
