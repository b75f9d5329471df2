"""``/v1/prices/history``: what each price list said of a model, and from when until when."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from metering.api.fields import DEFAULT_PAGE, Answer, CursorParameter, LimitParameter, instant_field, next_cursor_field
from metering.api.openapi import problems
from metering.api.prices.price_answers import (
    LAYER,
    LIMITED,
    OWN_ACCOUNT,
    KnownAtParameter,
    LayerName,
    RouteName,
    Tier,
    account_names,
    known_at_field,
    shared_fields,
    shown_instant,
    tier_answers,
)
from metering.domain.instants import format_instant
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.domain.usage.model_names import provider_name
from metering.operations.prices.show_prices import HistoryQuery, price_history
from metering.web import query
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Reader, ServiceNow
from pricing.history import PriceVersion

router = APIRouter(prefix="/v1/prices", tags=["prices"])

_KEY_SHAPE = [str, str, int, str, str, int, str, int, int]


class Version(Answer):
    """What one list said of a model from one instant on."""

    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(
        description="The name by which the list knows the model.", examples=["meta-llama/Llama-3.3-70B-Instruct"]
    )
    operation: str = Field(description="The operation; empty: any.", examples=[""])
    table_id: int = Field(description="The table that said so first.", examples=[11])
    kind: Literal["snapshot", "patch"] = Field(description="The table's kind.", examples=["patch"])
    recorded_at: str = instant_field("When the table was recorded here")
    source: str = Field(description="The list.", examples=["hf_router"])
    layer: LayerName = Field(description=LAYER, examples=["bundled"])
    route: RouteName = Field(description=LIMITED, examples=["routed"])
    account: str | None = Field(description=OWN_ACCOUNT, examples=[None])
    effective_from: str = instant_field("From when on it held", "2026-10-19T00:00:00.000000Z")
    until: str | None = instant_field("Until when, exclusively; null while the list says nothing else", None)
    corrected: bool = Field(
        description="Whether it never held: a table recorded later is about the same instant.", examples=[False]
    )
    confirmed: int = Field(description="How many later tables of the list say the same.", examples=[0])
    tiers: list[Tier] = Field(
        description="The prices, smallest prompt first; empty where the list withdrew the model or knew no price.",
        examples=[[]],
    )


class VersionPage(Answer):
    """A page of a model's price history."""

    known_at: str | None = known_at_field()
    items: list[Version] = Field(description="By provider, list, operation and time.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


@router.get(
    "/history",
    operation_id="list_price_history",
    summary="List a model's price history",
    responses=problems("not_found", "invalid_cursor", "invalid_time", "naive_time"),
)
def get_history(
    *,
    principal: Reader,
    service: ServiceNow,
    model: Annotated[
        str,
        Query(
            max_length=MAX_NAME_LENGTH,
            description="The model, in any case, or a provider's own name for it.",
            examples=["meta-llama/Llama-3.3-70B-Instruct"],
        ),
    ],
    provider: Annotated[
        str | None, Query(max_length=MAX_NAME_LENGTH, description="Only at this provider.", examples=["together"])
    ] = None,
    source: Annotated[
        str | None, Query(max_length=MAX_NAME_LENGTH, description="Only of this list.", examples=["hf_router"])
    ] = None,
    known_at: KnownAtParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> VersionPage:
    """List what each price list that the key may see said of a model, and from when until when. A list's word holds until its
    next one; a version is immutable, and what was charged with it stays charged.
    """
    question = ["price history", model, provider, source, known_at]
    known = None if known_at is None else query.instant("query.known_at", known_at)
    found = price_history(
        service.engine,
        HistoryQuery(
            model,
            None if provider is None else provider_name(provider),
            source,
            known,
            None if principal.account is None else principal.account.id,
        ),
    )
    after: list[int | str] = [] if cursor is None else read_cursor(cursor, question, _KEY_SHAPE)
    keyed: list[tuple[list[int | str], PriceVersion]] = [([*version.place], version) for version in found]
    page = [version for key, version in keyed if key > after]
    names = account_names(service, [version.table for version in page[:limit]])
    return VersionPage(
        known_at=shown_instant(known),
        items=[_version(version, names) for version in page[:limit]],
        next_cursor=write_cursor(page[limit - 1].place, question) if len(page) > limit else None,
    )


def _version(version: PriceVersion, names: dict[int, str]) -> Version:
    provider, model, operation = version.key
    return Version.model_validate(
        {
            "provider": provider,
            "model": model,
            "operation": operation,
            "table_id": version.table.id,
            "kind": version.table.kind.value,
            "recorded_at": format_instant(version.table.recorded_at),
            **shared_fields(version.table, names),
            "until": shown_instant(version.until),
            "corrected": version.corrected,
            "confirmed": version.confirmed,
            "tiers": tier_answers(version.tiers),
        }
    )
