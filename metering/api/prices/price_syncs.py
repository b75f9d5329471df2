"""``/v1/prices/syncs``: asking the router what requests cost, what came of it, and accepting what was held back.

The router's prices are everybody's, so that asking and accepting need a key that is bound to no account.
"""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import Field

from metering.api.fields import DEFAULT_PAGE, Answer, CursorParameter, LimitParameter, instant_field, next_cursor_field
from metering.api.openapi import problems
from metering.api.prices.price_answers import QuantityPrice
from metering.domain.instants import format_instant
from metering.domain.prices.change_data import shown_price
from metering.domain.prices.price_syncs import PriceSync, SourceHealth
from metering.operations.prices.accept_sync import accept_sync
from metering.operations.prices.list_syncs import list_syncs, show_sync
from metering.operations.prices.sync_prices import RouterSource, source_health, sync_prices
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, Reader, ServiceNow

router = APIRouter(prefix="/v1/prices", tags=["prices"])

_BEFORE = {"price_usd": "0.000000880000", "per": 1, "unit": "token"}
_AFTER = {"price_usd": "0.000001040000", "per": 1, "unit": "token"}
_CHANGE = {
    "provider": "together", "model": "meta-llama/Llama-3.3-70B-Instruct", "operation": "", "context_from": 0,
    "quantity": "input_tokens", "change": "raised", "before": _BEFORE, "after": _AFTER,
}  # fmt: skip
_REASON = {
    "code": "price_jump",
    "message": "together deepseek-ai/DeepSeek-V4-Pro: input_tokens goes from 2.1 USD per million to 2100 USD per million;"
    " up to 10 times passes",
}

Outcome = Literal["recorded", "unchanged", "held", "accepted", "superseded", "failed"]


class Change(Answer):
    """One price before and after."""

    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])
    context_from: int = Field(description="From how many prompt tokens on it holds for the whole request.", examples=[0])
    quantity: str = Field(description="What it is the price of.", examples=["input_tokens"])
    change: Literal["added", "withdrawn", "raised", "lowered"] = Field(
        description="What happens to the price.", examples=["raised"]
    )
    before: QuantityPrice | None = Field(description="The price before; null for none.", examples=[_BEFORE])
    after: QuantityPrice | None = Field(description="The price after; null for none any more.", examples=[_AFTER])


class Reason(Answer):
    """Why a sync is held."""

    code: str = Field(description="Stable.", examples=["price_jump"])
    message: str = Field(description="The same in words.", examples=[_REASON["message"]])


class SyncListed(Answer):
    """One time that the router was asked, or the decision about an answer that was held."""

    id: int = Field(description="The sync.", examples=[7])
    source: str = Field(description="Whose prices.", examples=["hf_router"])
    outcome: Outcome = Field(
        description="`recorded`: a new version of the prices. `unchanged`. `held`: it would change too much and waits."
        " `failed`: the router could not be asked, or said nothing usable. `accepted` and `superseded` decide an earlier one.",
        examples=["held"],
    )
    started_at: str = instant_field("When the router was asked")
    finished_at: str = instant_field("When its answer was there; prices hold from then on")
    changed: int = Field(description="How many prices it changes.", examples=[1])
    reasons: list[Reason] = Field(description="Why it was held.", examples=[[_REASON]])
    table_id: int | None = Field(description="The price table that it recorded; null for none.", examples=[None])
    decides: int | None = Field(description="The held sync that this decides; null for none.", examples=[None])
    decided_by: int | None = Field(description="What decided it, where it was held; null: it waits.", examples=[8])
    decision: Literal["accepted", "superseded"] | None = Field(
        description="How it was decided: accepted by somebody, or superseded by a newer answer.", examples=["accepted"]
    )
    digest: str = Field(
        description="SHA-256 of the document; empty where there was none.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    error_code: str = Field(description="What failed, stable; empty where nothing did.", examples=[""])
    error_message: str = Field(description="The same in words.", examples=[""])


class Sync(SyncListed):
    """A sync with everything that it changes."""

    changes: list[Change] = Field(description="By provider and model.", examples=[[_CHANGE]])


class RouterHealth(Answer):
    """How asking the router goes."""

    last_attempt_at: str | None = instant_field("When it was last asked; null: never")
    last_success_at: str | None = instant_field("When it last answered")
    last_failure_at: str | None = instant_field("When it last failed", None)
    consecutive_failures: int = Field(description="How often it has failed since it last answered.", examples=[0])
    last_error: str = Field(description="Why it failed last, while it fails.", examples=[""])
    waiting: int | None = Field(description="The held sync that waits to be accepted; null for none.", examples=[None])


class SyncPage(Answer):
    """A page of syncs, newest first, and how the router does."""

    health: RouterHealth = Field(description="How asking the router goes, now.", examples=[{"consecutive_failures": 0}])
    items: list[SyncListed] = Field(description="The syncs.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


SyncId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The sync.", examples=[7])]


@router.post("/sync", operation_id="sync_prices", summary="Sync prices", responses=problems("bound_key"))
def post_sync(principal: Admin, service: ServiceNow) -> Sync:
    """Ask the router for its prices now. The answer says what came of it: that the router fails is an `outcome` too."""
    principal.require_unbound()
    return _sync(sync_prices(service.engine, RouterSource(service.fetch, service.settings.sync, service.clock)))


@router.get("/syncs", operation_id="list_price_syncs", summary="List syncs", responses=problems("bound_key", "invalid_cursor"))
def get_syncs(
    principal: Reader, service: ServiceNow, limit: LimitParameter = DEFAULT_PAGE, cursor: CursorParameter = None
) -> SyncPage:
    """List the syncs of the router's prices, newest first, and say how asking it goes."""
    principal.require_unbound()
    before = None if cursor is None else int(read_cursor(cursor, "syncs", [int])[0])
    rows = list_syncs(service.engine, before=before, limit=limit + 1)
    return SyncPage(
        health=_health(source_health(service.engine)),
        items=[SyncListed(**_told(row)) for row in rows[:limit]],
        next_cursor=write_cursor([rows[limit - 1].id], "syncs") if len(rows) > limit else None,
    )


@router.get(
    "/syncs/{sync_id}", operation_id="show_price_sync", summary="Show a sync", responses=problems("bound_key", "not_found")
)
def get_sync(principal: Reader, service: ServiceNow, sync_id: SyncId) -> Sync:
    """Show one sync with everything that it changes."""
    principal.require_unbound()
    return _sync(show_sync(service.engine, sync_id))


@router.post(
    "/syncs/{sync_id}/accept",
    operation_id="accept_price_sync",
    summary="Accept a sync",
    responses=problems("bound_key", "not_found", "not_held"),
)
def post_accept(principal: Admin, service: ServiceNow, sync_id: SyncId) -> Sync:
    """Record the prices that a sync held back, exactly as they were fetched and from then on. Answers the decision, a sync of
    its own; what is charged already stays as it is.
    """
    principal.require_unbound()
    return _sync(accept_sync(service.engine, sync_id, now=service.clock()))


def _sync(row: PriceSync) -> Sync:
    changes = [_change(change) for change in json.loads(row.changes)]
    return Sync(**_told(row), changes=changes)


def _told(row: PriceSync) -> dict[str, Any]:
    return {
        "id": row.id,
        "source": row.source,
        "outcome": row.outcome,
        "started_at": format_instant(row.started_at),
        "finished_at": format_instant(row.finished_at),
        "changed": len(json.loads(row.changes)),
        "reasons": json.loads(row.reasons),
        "table_id": row.table_id,
        "decides": row.decides,
        "decided_by": row.decided_by,
        "decision": row.decision,
        "digest": row.digest,
        "error_code": row.error_code,
        "error_message": row.error_message,
    }


def _change(change: dict[str, Any]) -> Change:
    return Change.model_validate(change | {side: shown_price(change["quantity"], change[side]) for side in ("before", "after")})


def _health(health: SourceHealth) -> RouterHealth:
    return RouterHealth(
        last_attempt_at=_instant(health.last_attempt_at),
        last_success_at=_instant(health.last_success_at),
        last_failure_at=_instant(health.last_failure_at),
        consecutive_failures=health.consecutive_failures,
        last_error=health.last_error,
        waiting=health.waiting,
    )


def _instant(micros: int | None) -> str | None:
    return None if micros is None else format_instant(micros)
