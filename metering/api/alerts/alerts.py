"""``/v1/alerts``: what somebody should know of."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from metering.api.fields import (
    DEFAULT_PAGE,
    AccountParameter,
    Answer,
    CursorParameter,
    LimitParameter,
    instant_field,
    next_cursor_field,
)
from metering.api.openapi import problems
from metering.domain.alerts.alerts import Alert
from metering.domain.instants import format_instant
from metering.operations.accounts.manage_accounts import show_account_by_id
from metering.operations.alerts.list_alerts import list_alerts
from metering.operations.service.open_service import Service
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

_LONGEST_TYPE = 64
_EXAMPLE_DATA = {"source": "hf_router", "table_id": 17, "changes": 3}


class AlertAnswer(Answer):
    """Something that happened, told once."""

    id: int = Field(description="The alert.", examples=[12])
    type: str = Field(description="What happened.", examples=["price.changed"])
    subject: str = Field(description="What it is about.", examples=["price_table:17"])
    period: str = Field(description="The period it is about; empty where the type knows none.", examples=[""])
    threshold: int = Field(description="The threshold that was reached; 0 where the type knows none.", examples=[0])
    account: str | None = Field(description="Whose it is; null where it is about no single account.", examples=[None])
    occurred_at: str = instant_field("When it happened")
    recorded_at: str = instant_field("When it was noticed")
    data: dict[str, Any] = Field(description="What there is to know, by type.", examples=[_EXAMPLE_DATA])


class AlertPage(Answer):
    """A page of alerts, newest first."""

    items: list[AlertAnswer] = Field(description="The alerts.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


@router.get("", operation_id="list_alerts", summary="List alerts", responses=problems("not_found", "invalid_cursor"))
def get_alerts(
    *,
    principal: Reader,
    service: ServiceNow,
    account: AccountParameter = None,
    type_: Annotated[
        str | None,
        Query(alias="type", max_length=_LONGEST_TYPE, description="Only alerts of this type.", examples=["price.changed"]),
    ] = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> AlertPage:
    """List alerts, newest first. A key that is bound to an account sees that account's only; those that are about no single
    account, such as a change of the router's prices, are seen by keys that are bound to none.
    """
    found = principal.account_or_all(service, account)
    account_id = None if found is None else found.id
    question = ["alerts", account_id, type_]
    before = None if cursor is None else int(read_cursor(cursor, question, [int])[0])
    rows = list_alerts(service.engine, type_=type_, account_id=account_id, before=before, limit=limit + 1)
    names = _account_names(service, rows[:limit])
    return AlertPage(
        items=[_alert(row, names) for row in rows[:limit]],
        next_cursor=write_cursor([rows[limit - 1].id], question) if len(rows) > limit else None,
    )


def _account_names(service: Service, rows: Sequence[Alert]) -> dict[int, str]:
    ids = {row.account_id for row in rows if row.account_id is not None}
    found = [show_account_by_id(service.engine, account_id) for account_id in sorted(ids)]
    return {each.id: each.name for each in found if each is not None}


def _alert(row: Alert, names: dict[int, str]) -> AlertAnswer:
    return AlertAnswer(
        id=row.id,
        type=row.type,
        subject=row.subject,
        period=row.period,
        threshold=row.threshold,
        account=None if row.account_id is None else names.get(row.account_id),
        occurred_at=format_instant(row.occurred_at),
        recorded_at=format_instant(row.recorded_at),
        data=json.loads(row.data),
    )
