"""Send a delivery once: sign it as of now, post it, and say what came of it. Nothing is written."""

from collections.abc import Callable

import httpx

from metering.domain.alerts.webhook_signatures import signed_headers
from metering.domain.instants import MICROS_PER_SECOND
from metering.operations.alerts.dispatch_deliveries import Attempt, ClaimedDelivery
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
) -> Attempt:
    """Return the attempt, whatever came of it."""
    started_at = clock()
    headers = signed_headers(delivery.message, started_at // MICROS_PER_SECOND, delivery.body, delivery.keys)
    headers["content-type"] = "application/json"
    posted = await post(client, delivery.url, delivery.body, headers, guard=guard, limits=limits)
    return Attempt(delivery, started_at, clock(), posted, chance)
