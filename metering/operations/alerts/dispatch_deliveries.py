"""Take deliveries that are due, and record what came of sending them. Between the two is no transaction.

A delivery is taken for a while (``lease``) and sent; a process that dies in between has recorded nothing, and when the while is
over the delivery is due again, with the same id: what was sent may be sent twice, and what was not is.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.alerts.webhook_deliveries import DELIVERED, FAILED, PENDING, DeliveryAttempt
from metering.domain.alerts.webhook_messages import body_of
from metering.domain.alerts.webhook_retries import next_attempt_at, should_disable
from metering.domain.alerts.webhooks import FAILING, GONE, Endpoint
from metering.domain.instants import MICROS_PER_SECOND
from metering.operations.alerts.disable_endpoint import disable_endpoint
from metering.outbound.post import PostResult
from metering.storage.alerts.delivery_queue import (
    DeliveryUpdate,
    choose_due,
    claim_until,
    claimed_deliveries,
    due_endpoints,
    has_due,
    insert_attempts,
    lock_for_update,
    release,
    update_deliveries,
)
from metering.storage.alerts.secret_box import SecretBox, SecretKeyError, open_box
from metering.storage.alerts.webhook_endpoints import endpoint_with_id, lock_endpoint, update_endpoint, valid_secrets
from metering.storage.engine.database import concurrent_write, read_snapshot

_GONE = 410
_SUCCESS = range(200, 300)
_REDIRECTS = range(300, 400)

_log = logging.getLogger(__name__)


class Concurrency(Struct, frozen=True):
    """How many deliveries may be under way: in all, to one endpoint, and to one whose last attempt failed."""

    in_all: int = 256
    to_one: int = 16
    to_failing: int = 1


class ClaimLimits(NamedTuple):
    """What may be taken: beside what is ``under_way`` (counts by endpoint), for ``lease`` microseconds from ``now`` on."""

    under_way: Mapping[int, int]
    room: Concurrency
    now: int
    lease: int


class ClaimedDelivery(NamedTuple):
    """A delivery to be sent now. ``keys`` are the secrets that sign it; ``url`` is the whole address, which may be secret."""

    delivery_id: int
    endpoint_id: int
    url: str
    message: str
    body: bytes
    keys: tuple[bytes, ...]
    attempt: int


class Attempt(NamedTuple):
    """What came of sending a delivery. ``chance`` is a number from 0 to 1 that spreads the next attempt."""

    sent: ClaimedDelivery
    started_at: int
    ended_at: int
    posted: PostResult
    chance: float


def dispatch(engine: Engine, box_keys: Sequence[str], attempts: Sequence[Attempt], asked: ClaimLimits) -> list[ClaimedDelivery]:
    """Record what came of ``attempts``, and take what is due as far as there is room; in one transaction.

    Where there is neither nothing is written. Raises SecretKeyError where something is due and there is no key at all.
    """
    if not attempts:
        with read_snapshot(engine) as connection:
            if not has_due(connection, now=asked.now):
                return []
    try:
        box = open_box(engine, box_keys)
    except SecretKeyError:
        if not attempts:
            raise
        record_attempts(engine, attempts)
        return []
    with concurrent_write(engine) as connection:
        _record(connection, attempts)
        return _opened(connection, box, _take(connection, asked), now=asked.now)


def claim_one(engine: Engine, box_keys: Sequence[str], delivery_id: int, *, now: int) -> ClaimedDelivery:
    """Return a delivery that its writer has put off, to send it itself. Raises SecretKeyError."""
    with read_snapshot(engine) as connection:
        for opened in _opened(connection, open_box(engine, box_keys), [delivery_id], now=now):
            return opened
    raise SecretKeyError("it is not sent: the endpoint's secret can not be read with the key that there is")


def record_attempts(engine: Engine, attempts: Sequence[Attempt]) -> None:
    """Record what came of sending deliveries, and what follows for each and for its endpoint."""
    with concurrent_write(engine) as connection:
        _record(connection, attempts)


def release_claims(engine: Engine, delivery_ids: Collection[int], *, now: int) -> None:
    """Let deliveries that were taken and not sent be sent by somebody else."""
    with concurrent_write(engine) as connection:
        release(connection, sorted(delivery_ids), now=now)


def is_success(posted: PostResult) -> bool:
    """Whether the receiver took the message."""
    return posted.status in _SUCCESS


def _record(connection: Connection, attempts: Sequence[Attempt]) -> None:
    if not attempts:
        return
    by_endpoint: dict[int, list[Attempt]] = {}
    for attempt in sorted(attempts, key=lambda attempt: (attempt.sent.endpoint_id, attempt.ended_at)):
        by_endpoint.setdefault(attempt.sent.endpoint_id, []).append(attempt)
    # Endpoints before deliveries, each in the order of their ids: so nobody waits in a circle.
    judged = [_judged(connection, endpoint_id, those) for endpoint_id, those in by_endpoint.items()]
    disabled = [each.endpoint.id for each in judged if each is not None and each.reason]
    if disabled:
        lock_for_update(connection, {attempt.sent.delivery_id for attempt in attempts}, disabled)
    insert_attempts(connection, [_attempt_row(attempt) for attempt in attempts])
    update_deliveries(connection, [_ended(attempt) for attempt in attempts])
    for each in judged:
        if each is not None:
            _apply(connection, each)


def _take(connection: Connection, asked: ClaimLimits) -> list[int]:
    left = asked.room.in_all - sum(asked.under_way.values())
    taken: list[int] = []
    for endpoint in due_endpoints(connection, now=asked.now) if left > 0 else ():
        bound = asked.room.to_one if endpoint.failing_since is None else asked.room.to_failing
        most = min(left - len(taken), bound - asked.under_way.get(endpoint.id, 0))
        if most > 0:
            taken += choose_due(connection, endpoint.id, most=most, now=asked.now)
    if taken:
        claim_until(connection, taken, until=asked.now + asked.lease)
    return taken


def _opened(connection: Connection, box: SecretBox, delivery_ids: Sequence[int], *, now: int) -> list[ClaimedDelivery]:
    """Return what can be sent. What can not be decrypted stays taken: it is due again after the lease, perhaps with its key."""
    if not delivery_ids:
        return []
    taken = claimed_deliveries(connection, delivery_ids)
    secrets = valid_secrets(connection, {each.endpoint_id for each in taken}, now=now)
    opened: dict[int, tuple[str, tuple[bytes, ...]]] = {}
    for endpoint_id, url in {each.endpoint_id: each.url for each in taken}.items():
        try:
            keys = tuple(box.decrypt(row.secret) for row in secrets.get(endpoint_id, ()))
            opened[endpoint_id] = box.decrypt(url).decode(), keys
        except SecretKeyError as error:
            _log.error("nothing can be sent to the webhook endpoint %d: %s", endpoint_id, error)
    return [
        ClaimedDelivery(
            each.id,
            each.endpoint_id,
            opened[each.endpoint_id][0],
            each.message,
            body_of(each.document, each.format),
            opened[each.endpoint_id][1],
            each.attempt,
        )
        for each in taken
        if each.endpoint_id in opened and opened[each.endpoint_id][1]
    ]


def _attempt_row(attempt: Attempt) -> DeliveryAttempt:
    posted = attempt.posted
    code, message = posted.error, posted.message
    if posted.status is not None and not is_success(posted):
        code = "redirects" if posted.status in _REDIRECTS else "gone" if posted.status == _GONE else "refused"
        message = f"the receiver answered {posted.status}" + ("; redirects are not followed" if code == "redirects" else "")
    return DeliveryAttempt(
        attempt.sent.delivery_id, attempt.started_at, posted.latency_ms, posted.status, code, message, posted.answer
    )


def _ended(attempt: Attempt) -> DeliveryUpdate:
    sent, posted = attempt.sent, attempt.posted
    if is_success(posted):
        return DeliveryUpdate(sent.delivery_id, DELIVERED, sent.attempt, None, attempt.ended_at)
    retry_after = None if posted.retry_after is None else round(posted.retry_after * MICROS_PER_SECOND)
    due = next_attempt_at(sent.attempt, attempt.ended_at, chance=attempt.chance, retry_after=retry_after)
    if due is None:
        return DeliveryUpdate(sent.delivery_id, FAILED, sent.attempt, None, attempt.ended_at)
    return DeliveryUpdate(sent.delivery_id, PENDING, sent.attempt, due, None)


class _EndpointHealth(NamedTuple):
    """How an endpoint does by its last attempts; ``reason`` empty: it goes on."""

    endpoint: Endpoint
    failing_since: int | None
    reason: str
    now: int


def _judged(connection: Connection, endpoint_id: int, attempts: Sequence[Attempt]) -> _EndpointHealth | None:
    """Judge an endpoint by its attempts, in the order in which they ended. None: it does as well as before.

    Its row is locked only where something may change: whoever merely succeeds waits for nobody.
    """
    endpoint = endpoint_with_id(connection, endpoint_id)
    if endpoint is None:
        return None  # deleted while something was under way to it
    if endpoint.failing_since is None and all(is_success(attempt.posted) for attempt in attempts):
        return None
    endpoint = lock_endpoint(connection, endpoint_id)
    if endpoint is None:
        return None
    since, gone = endpoint.failing_since, False
    for attempt in attempts:
        if is_success(attempt.posted):
            since = None
        elif since is None:
            since = attempt.started_at
        gone = gone or attempt.posted.status == _GONE
    now = attempts[-1].ended_at
    reason = GONE if gone else FAILING if since is not None and should_disable(since, now) else ""
    return _EndpointHealth(endpoint, since, "" if endpoint.disabled_at is not None else reason, now)


def _apply(connection: Connection, judged: _EndpointHealth) -> None:
    endpoint = judged.endpoint
    if judged.failing_since != endpoint.failing_since:
        update_endpoint(connection, endpoint.id, {"failing_since": judged.failing_since})
    if judged.reason:
        _log.warning(
            "the webhook endpoint %d is disabled (%s); `metering webhooks show %d`", endpoint.id, judged.reason, endpoint.id
        )
        disable_endpoint(connection, endpoint._replace(failing_since=judged.failing_since), judged.reason, now=judged.now)
