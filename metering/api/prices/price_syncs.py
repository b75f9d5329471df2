"""``/v1/prices/syncs``: fetch the router's prices, list the outcomes, and accept a pending sync.

The router's prices apply to all accounts, so these routes need a key that is not bound to an account.
"""

from typing import Annotated

from fastapi import APIRouter, Path

from metering.answers.prices.price_syncs import (
    FinishedPriceSyncAnswer,
    PriceSyncAnswer,
    PriceSyncPage,
    finished_price_sync_answer,
    price_sync_answer,
    price_sync_summary_answer,
    sync_health_answer,
)
from metering.api.openapi import problems
from metering.operations.prices.accept_sync import accept_sync
from metering.operations.prices.list_syncs import list_syncs, show_sync
from metering.operations.prices.sync_prices import RouterSource, source_health, sync_prices
from metering.web.pages import PageNow
from metering.web.principal import Admin, Reader, ServiceNow

router = APIRouter(prefix="/v1/prices", tags=["prices"])

MAX_ID = 2**63 - 1
SyncId = Annotated[int, Path(ge=1, le=MAX_ID, description="The sync.", examples=[7])]

_SYNCS = "syncs"


@router.post("/sync", operation_id="sync_prices", summary="Sync prices", responses=problems("bound_key"))
def post_sync(principal: Admin, service: ServiceNow) -> FinishedPriceSyncAnswer:
    """Fetch the router's prices now. A failed fetch is an `outcome`, too, not an error of this request."""
    principal.require_unbound()
    sync = sync_prices(service.engine, RouterSource(service.fetch, service.settings.sync, service.clock))
    return finished_price_sync_answer(sync, source_health(service.engine))


@router.get("/syncs", operation_id="list_price_syncs", summary="List syncs", responses=problems("bound_key", "invalid_cursor"))
def get_syncs(principal: Reader, service: ServiceNow, page: PageNow) -> PriceSyncPage:
    """List the syncs of the router's prices, newest first, without their changes, and the state of syncing."""
    principal.require_unbound()
    before = int(page.start(_SYNCS, [MAX_ID])[0])
    return page.of(
        PriceSyncPage,
        list_syncs(service.engine, before=before, limit=page.rows),
        answer=price_sync_summary_answer,
        key=lambda sync: [sync.id],
        question=_SYNCS,
        health=sync_health_answer(source_health(service.engine)),
    )


@router.get(
    "/syncs/{sync_id}", operation_id="show_price_sync", summary="Show a sync", responses=problems("bound_key", "not_found")
)
def get_sync(principal: Reader, service: ServiceNow, sync_id: SyncId) -> PriceSyncAnswer:
    """Show one sync with all its changes."""
    principal.require_unbound()
    return price_sync_answer(show_sync(service.engine, sync_id))


@router.post(
    "/syncs/{sync_id}/accept",
    operation_id="accept_price_sync",
    summary="Accept a sync",
    responses=problems("bound_key", "not_found", "not_held"),
)
def post_accept(principal: Admin, service: ServiceNow, sync_id: SyncId) -> PriceSyncAnswer:
    """Record the prices of a pending sync exactly as they were fetched, effective from when they were fetched. Returns the
    decision, as a further sync. Existing charges do not change.
    """
    principal.require_unbound()
    return price_sync_answer(accept_sync(service.engine, sync_id, now=service.clock()))
