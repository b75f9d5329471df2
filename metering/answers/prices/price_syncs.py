"""Answers about price syncs."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field, optional_instant
from metering.answers.prices.price_changes import ChangeKindName
from metering.answers.prices.rates import CONTEXT_FROM, QuantityPriceAnswer
from metering.domain.instants import format_instant
from metering.domain.prices.change_data import changes_as_shown
from metering.domain.prices.price_syncs import PriceSync, SourceHealth, SyncPreview

_BEFORE = {"price_usd": "0.000000880000", "per": 1, "unit": "token"}
_AFTER = {"price_usd": "0.000001040000", "per": 1, "unit": "token"}
_CHANGE = {
    "provider": "together", "model": "meta-llama/Llama-3.3-70B-Instruct", "operation": "", "context_from": 0,
    "quantity": "input_tokens", "change": "raised", "before": _BEFORE, "after": _AFTER,
}  # fmt: skip
_REASON = {
    "code": "price_jump",
    "message": "together deepseek-ai/DeepSeek-V4-Pro: input_tokens would change from 2.1 USD per million to 2100 USD per"
    " million, more than 10-fold",
}

SyncOutcome = Literal["recorded", "unchanged", "held", "accepted", "superseded", "failed"]
SyncDecision = Literal["accepted", "superseded"]


class SyncChangeAnswer(Answer):
    """A price before and after a sync."""

    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])
    context_from: int = Field(description=CONTEXT_FROM, examples=[0])
    quantity: str = Field(description="The kind of quantity.", examples=["input_tokens"])
    change: ChangeKindName = Field(description="The kind of change.", examples=["raised"])
    before: QuantityPriceAnswer | None = Field(description="The price before; null: none.", examples=[_BEFORE])
    after: QuantityPriceAnswer | None = Field(description="The price after; null: none.", examples=[_AFTER])


class HoldReasonAnswer(Answer):
    """Why a sync is pending."""

    code: str = Field(description="A stable code.", examples=["price_jump"])
    message: str = Field(description="The reason in words.", examples=[_REASON["message"]])


class PriceSyncSummaryAnswer(Answer):
    """A fetch of the router's prices, or the decision about one that was pending."""

    id: int = Field(description="The sync.", examples=[7])
    source: str = Field(description="The price list.", examples=["hf_router"])
    outcome: SyncOutcome = Field(
        description="`recorded`: a new version of the prices. `unchanged`: no price differs. `held`: it would change too much"
        " and is pending until it is accepted. `failed`: the router could not be reached, or its answer could not be used."
        " `accepted` and `superseded` decide an earlier sync.",
        examples=["held"],
    )
    started_at: str = instant_field("When the fetch started")
    finished_at: str = instant_field("When the fetch finished; the prices take effect then")
    changed: int = Field(description="Number of prices that it changes.", examples=[1])
    reasons: list[HoldReasonAnswer] = Field(description="Why it is or was pending.", examples=[[_REASON]])
    table_id: int | None = Field(description="The price table that it recorded; null: none.", examples=[None])
    decides: int | None = Field(description="The pending sync that it decides; null: none.", examples=[None])
    decided_by: int | None = Field(description="The sync that decided it; null: none.", examples=[8])
    decision: SyncDecision | None = Field(
        description="How it was decided: `accepted`, or `superseded` by a newer fetch; null: not decided.",
        examples=["accepted"],
    )
    digest: str = Field(
        description="SHA-256 of the fetched document, or empty.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    error_code: str = Field(description="A stable code for what failed, or empty.", examples=[""])
    error_message: str = Field(description="What failed, in words.", examples=[""])


class PriceSyncAnswer(PriceSyncSummaryAnswer):
    """A sync with all its changes."""

    changes: list[SyncChangeAnswer] = Field(
        description="The changes, by provider, model and kind of quantity.", examples=[[_CHANGE]]
    )


class SyncHealthAnswer(Answer):
    """The state of syncing with the router."""

    last_attempt_at: str | None = instant_field("When prices were last fetched; null: never")
    last_success_at: str | None = instant_field("When a fetch last succeeded; null: never")
    last_failure_at: str | None = instant_field("When a fetch last failed; null: never", None)
    consecutive_failures: int = Field(description="Number of failures since the last success.", examples=[0])
    last_error: str = Field(description="Why the last fetch failed; empty if it succeeded.", examples=[""])
    waiting: int | None = Field(description="The pending sync; null: none.", examples=[None])


_HEALTH = {
    "last_attempt_at": "2026-11-03T10:15:00.123456Z",
    "last_success_at": "2026-11-03T10:15:00.123456Z",
    "last_failure_at": None,
    "consecutive_failures": 0,
    "last_error": "",
    "waiting": None,
}


class FinishedPriceSyncAnswer(PriceSyncAnswer):
    """A sync that was just done, and the state of syncing after it."""

    health: SyncHealthAnswer = Field(description="The state of syncing after this sync.", examples=[_HEALTH])


class PriceSyncPreviewAnswer(Answer):
    """What a sync would change now. Nothing was recorded."""

    dry_run: Literal[True] = Field(description="Always true.", examples=[True])
    changed: int = Field(description="Number of prices that it would change.", examples=[1])
    reasons: list[HoldReasonAnswer] = Field(description="Why it would be pending; empty: it would not.", examples=[[]])
    changes: list[SyncChangeAnswer] = Field(
        description="The changes, by provider, model and kind of quantity.", examples=[[_CHANGE]]
    )


class PriceSyncPage(Page):
    """A page of syncs, newest first, and the state of syncing."""

    health: SyncHealthAnswer = Field(description="The current state of syncing.", examples=[_HEALTH])
    items: list[PriceSyncSummaryAnswer] = Field(description="The syncs.", examples=[[]])


def price_sync_summary_answer(sync: PriceSync) -> PriceSyncSummaryAnswer:
    """Return a sync without its changes."""
    return PriceSyncSummaryAnswer.model_validate(_fields(sync))


def price_sync_answer(sync: PriceSync) -> PriceSyncAnswer:
    """Return a sync with its changes."""
    return PriceSyncAnswer.model_validate(_fields_with_changes(sync))


def finished_price_sync_answer(sync: PriceSync, health: SourceHealth) -> FinishedPriceSyncAnswer:
    """Return a sync that was just done."""
    return FinishedPriceSyncAnswer.model_validate({**_fields_with_changes(sync), "health": sync_health_answer(health)})


def price_sync_preview_answer(preview: SyncPreview) -> PriceSyncPreviewAnswer:
    """Return what a sync would change."""
    return PriceSyncPreviewAnswer.model_validate(
        {
            "dry_run": True,
            "changed": len(preview.changes),
            "reasons": preview.reasons,
            "changes": changes_as_shown(preview.changes),
        }
    )


def sync_health_answer(health: SourceHealth) -> SyncHealthAnswer:
    """Return the state of syncing with the router."""
    return SyncHealthAnswer(
        last_attempt_at=optional_instant(health.last_attempt_at),
        last_success_at=optional_instant(health.last_success_at),
        last_failure_at=optional_instant(health.last_failure_at),
        consecutive_failures=health.consecutive_failures,
        last_error=health.last_error,
        waiting=health.waiting,
    )


def price_sync_page(syncs: Sequence[PriceSync], health: SourceHealth) -> PriceSyncPage:
    """Return syncs as one page."""
    items = [price_sync_summary_answer(sync) for sync in syncs]
    return PriceSyncPage(health=sync_health_answer(health), items=items, next_cursor=None)


def _fields(sync: PriceSync) -> dict[str, Any]:
    return {
        "id": sync.id,
        "source": sync.source,
        "outcome": sync.outcome,
        "started_at": format_instant(sync.started_at),
        "finished_at": format_instant(sync.finished_at),
        "changed": len(json.loads(sync.changes)),
        "reasons": json.loads(sync.reasons),
        "table_id": sync.table_id,
        "decides": sync.decides,
        "decided_by": sync.decided_by,
        "decision": sync.decision,
        "digest": sync.digest,
        "error_code": sync.error_code,
        "error_message": sync.error_message,
    }


def _fields_with_changes(sync: PriceSync) -> dict[str, Any]:
    return {**_fields(sync), "changes": changes_as_shown(json.loads(sync.changes))}
