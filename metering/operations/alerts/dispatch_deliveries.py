"""Claim due deliveries, and record the attempts to send them. No transaction is open in between.

A claim lasts for a limited time (the lease). If the process dies before it records the attempt, the delivery becomes due again
with the same id when the lease ends. A message can therefore be sent twice, but is never lost.
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
    """The most deliveries in progress: in total, per endpoint, and per endpoint whose last attempt failed."""

    total: int = 256
    per_endpoint: int = 16
    per_failing_endpoint: int = 1


class ClaimLimits(NamedTuple):
    """How many deliveries may be claimed, and for how long.

    ``in_progress`` counts the deliveries that this process is sending, by endpoint. ``now`` and ``lease`` are microseconds.
    """

    in_progress: Mapping[int, int]
    concurrency: Concurrency
    now: int
    lease: int


class ClaimedDelivery(NamedTuple):
    """A delivery to send now. ``keys`` are the secrets that sign it; ``url`` is complete and may itself be a secret."""

    delivery_id: int
    endpoint_id: int
    url: str
    message: str
    body: bytes
    keys: tuple[bytes, ...]
    attempt: int


class CompletedAttempt(NamedTuple):
    """A completed attempt to send a delivery. ``chance`` is a random number from 0 to 1 for the jitter of the next attempt."""

    delivery: ClaimedDelivery
    started_at: int
    ended_at: int
    result: PostResult
    chance: float


def dispatch(
    engine: Engine, secret_keys: Sequence[str], attempts: Sequence[CompletedAttempt], limits: ClaimLimits
) -> list[ClaimedDelivery]:
    """Record ``attempts`` and claim due deliveries within the limits, in one transaction.

    Writes nothing if there is nothing to record or claim. Raises SecretKeyError if a delivery is due and there is no key.
    """
    if not attempts:
        with read_snapshot(engine) as connection:
            if not has_due(connection, now=limits.now):
                return []
    try:
        box = open_box(engine, secret_keys)
    except SecretKeyError:
        if not attempts:
            raise
        record_attempts(engine, attempts)
        return []
    with concurrent_write(engine) as connection:
        _record(connection, attempts)
        return _decrypted(connection, box, _claim(connection, limits), now=limits.now)


def claim_one(engine: Engine, secret_keys: Sequence[str], delivery_id: int, *, now: int) -> ClaimedDelivery:
    """Return a delivery that the caller inserted with a later due time in order to send it itself. Raises SecretKeyError."""
    with read_snapshot(engine) as connection:
        for delivery in _decrypted(connection, open_box(engine, secret_keys), [delivery_id], now=now):
            return delivery
    raise SecretKeyError("nothing was sent: the endpoint's secret cannot be decrypted with the current METERING_SECRET_KEY")


def record_attempts(engine: Engine, attempts: Sequence[CompletedAttempt]) -> None:
    """Record attempts, and update their deliveries and endpoints accordingly."""
    with concurrent_write(engine) as connection:
        _record(connection, attempts)


def release_claims(engine: Engine, delivery_ids: Collection[int], *, now: int) -> None:
    """Give up claims on deliveries that were not sent: any process can claim them at once."""
    with concurrent_write(engine) as connection:
        release(connection, sorted(delivery_ids), now=now)


def is_success(result: PostResult) -> bool:
    """Whether the receiver accepted the message."""
    return result.status in _SUCCESS


def _record(connection: Connection, attempts: Sequence[CompletedAttempt]) -> None:
    if not attempts:
        return
    by_endpoint: dict[int, list[CompletedAttempt]] = {}
    for attempt in sorted(attempts, key=lambda attempt: (attempt.delivery.endpoint_id, attempt.ended_at)):
        by_endpoint.setdefault(attempt.delivery.endpoint_id, []).append(attempt)
    # Endpoints are locked before deliveries, each in the order of their ids, which prevents deadlocks.
    changes = [_health_change(connection, endpoint_id, those) for endpoint_id, those in by_endpoint.items()]
    disabled = [change.endpoint.id for change in changes if change is not None and change.disable_reason]
    if disabled:
        lock_for_update(connection, {attempt.delivery.delivery_id for attempt in attempts}, disabled)
    insert_attempts(connection, [_recorded(attempt) for attempt in attempts])
    update_deliveries(connection, [_update_after(attempt) for attempt in attempts])
    for change in changes:
        if change is not None:
            _apply_health(connection, change)


def _claim(connection: Connection, limits: ClaimLimits) -> list[int]:
    free = limits.concurrency.total - sum(limits.in_progress.values())
    claimed: list[int] = []
    for endpoint in due_endpoints(connection, now=limits.now) if free > 0 else ():
        failing = endpoint.failing_since is not None
        most = limits.concurrency.per_failing_endpoint if failing else limits.concurrency.per_endpoint
        count = min(free - len(claimed), most - limits.in_progress.get(endpoint.id, 0))
        if count > 0:
            claimed += choose_due(connection, endpoint.id, most=count, now=limits.now)
    if claimed:
        claim_until(connection, claimed, until=limits.now + limits.lease)
    return claimed


def _decrypted(connection: Connection, box: SecretBox, delivery_ids: Sequence[int], *, now: int) -> list[ClaimedDelivery]:
    """Return the deliveries that can be sent. The others stay claimed: after the lease the key may be available."""
    if not delivery_ids:
        return []
    queued = claimed_deliveries(connection, delivery_ids)
    secrets = valid_secrets(connection, {each.endpoint_id for each in queued}, now=now)
    endpoints: dict[int, tuple[str, tuple[bytes, ...]]] = {}
    for endpoint_id, url in {each.endpoint_id: each.url for each in queued}.items():
        try:
            keys = tuple(box.decrypt(row.secret) for row in secrets.get(endpoint_id, ()))
            endpoints[endpoint_id] = box.decrypt(url).decode(), keys
        except SecretKeyError as error:
            _log.error("cannot send to the webhook endpoint %d: %s", endpoint_id, error)
    deliveries = []
    for each in queued:
        url, keys = endpoints.get(each.endpoint_id, ("", ()))
        if keys:
            body = body_of(each.document, each.format)
            deliveries.append(ClaimedDelivery(each.id, each.endpoint_id, url, each.message, body, keys, each.attempt))
    return deliveries


def _recorded(attempt: CompletedAttempt) -> DeliveryAttempt:
    result = attempt.result
    code, message = result.error, result.message
    if result.status is not None and not is_success(result):
        code = "redirects" if result.status in _REDIRECTS else "gone" if result.status == _GONE else "refused"
        message = f"the receiver returned {result.status}" + ("; redirects are not followed" if code == "redirects" else "")
    return DeliveryAttempt(
        attempt.delivery.delivery_id, attempt.started_at, result.latency_ms, result.status, code, message, result.answer
    )


def _update_after(attempt: CompletedAttempt) -> DeliveryUpdate:
    delivery, result = attempt.delivery, attempt.result
    if is_success(result):
        return DeliveryUpdate(delivery.delivery_id, DELIVERED, delivery.attempt, None, attempt.ended_at)
    retry_after = None if result.retry_after is None else round(result.retry_after * MICROS_PER_SECOND)
    due = next_attempt_at(delivery.attempt, attempt.ended_at, chance=attempt.chance, retry_after=retry_after)
    if due is None:
        return DeliveryUpdate(delivery.delivery_id, FAILED, delivery.attempt, None, attempt.ended_at)
    return DeliveryUpdate(delivery.delivery_id, PENDING, delivery.attempt, due, None)


class _HealthChange(NamedTuple):
    """The health of an endpoint after its latest attempts; ``disable_reason`` is empty if it stays enabled."""

    endpoint: Endpoint
    failing_since: int | None
    disable_reason: str
    now: int


def _health_change(connection: Connection, endpoint_id: int, attempts: Sequence[CompletedAttempt]) -> _HealthChange | None:
    """Derive an endpoint's health from its attempts, in the order in which they ended. None: unchanged.

    The row is locked only if it may change: successes never wait.
    """
    endpoint = endpoint_with_id(connection, endpoint_id)
    if endpoint is None:
        return None  # deleted during the attempt
    if endpoint.failing_since is None and all(is_success(attempt.result) for attempt in attempts):
        return None
    endpoint = lock_endpoint(connection, endpoint_id)
    if endpoint is None:
        return None
    since, gone = endpoint.failing_since, False
    for attempt in attempts:
        if is_success(attempt.result):
            since = None
        elif since is None:
            since = attempt.started_at
        gone = gone or attempt.result.status == _GONE
    now = attempts[-1].ended_at
    reason = GONE if gone else FAILING if since is not None and should_disable(since, now) else ""
    return _HealthChange(endpoint, since, "" if endpoint.disabled_at is not None else reason, now)


def _apply_health(connection: Connection, change: _HealthChange) -> None:
    endpoint = change.endpoint
    if change.failing_since != endpoint.failing_since:
        update_endpoint(connection, endpoint.id, {"failing_since": change.failing_since})
    if change.disable_reason:
        _log.warning(
            "disabling the webhook endpoint %d (%s); see `metering webhooks show %d`",
            endpoint.id,
            change.disable_reason,
            endpoint.id,
        )
        failing = endpoint._replace(failing_since=change.failing_since)
        disable_endpoint(connection, failing, change.disable_reason, now=change.now)
