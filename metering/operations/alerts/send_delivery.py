"""Send a delivery once: sign it with the current time and post it. Nothing is written to the database."""

from collections.abc import Callable

import httpx

from metering.domain.alerts.webhook_signatures import signed_headers
from metering.domain.instants import MICROS_PER_SECOND
from metering.operations.alerts.dispatch_deliveries import ClaimedDelivery, CompletedAttempt
from metering.outbound.addresses import AddressGuard
from metering.outbound.post import PostLimits, post


async def send_delivery(
    client: httpx.AsyncClient,
    delivery: ClaimedDelivery,
    *,
    guard: AddressGuard,
    limits: PostLimits,
    clock: Callable[[], int],
    chance: float,
) -> CompletedAttempt:
    """Return the attempt, whether it succeeded or failed."""
    started_at = clock()
    headers = signed_headers(delivery.message, started_at // MICROS_PER_SECOND, delivery.body, delivery.keys)
    headers["content-type"] = "application/json"
    result = await post(client, delivery.url, delivery.body, headers, guard=guard, limits=limits)
    return CompletedAttempt(delivery, started_at, clock(), result, chance)
