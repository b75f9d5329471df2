"""``/v1/alerts``: what has been alerted on."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from metering.answers.alerts.alerts import AlertAnswer, AlertPage, alert_answer
from metering.api.fields import AccountParameter
from metering.api.openapi import problems
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.alerts.list_alerts import list_alerts, show_alert
from metering.web.pages import PageNow
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

_LONGEST_TYPE = 64


@router.get("", operation_id="list_alerts", summary="List alerts", responses=problems("not_found", "invalid_cursor"))
def get_alerts(
    principal: Reader,
    service: ServiceNow,
    page: PageNow,
    account: AccountParameter = None,
    type_: Annotated[
        str | None,
        Query(alias="type", max_length=_LONGEST_TYPE, description="Only alerts of this type.", examples=["price.changed"]),
    ] = None,
) -> AlertPage:
    """List alerts, newest first. A key bound to an account sees only alerts about that account. Alerts that are not about a
    single account, such as a change of the router's prices, are visible only to unbound keys.
    """
    owner = principal.account_or_all(service, account)
    account_id = None if owner is None else owner.id
    question = ["alerts", account_id, type_]
    before = int(page.start(question, [0])[0]) or None
    alerts = list_alerts(service.engine, type_=type_, account_id=account_id, before=before, limit=page.rows)
    names = account_names(service.engine, [alert.account_id for alert in alerts])
    return page.of(
        AlertPage, alerts, answer=lambda each: alert_answer(each, names), key=lambda each: [each.id], question=question
    )


@router.get("/{alert}", operation_id="show_alert", summary="Show an alert", responses=problems("not_found"))
def get_alert(
    principal: Reader,
    service: ServiceNow,
    alert: Annotated[int, Path(ge=1, le=2**63 - 1, description="ID of the alert.", examples=[12])],
) -> AlertAnswer:
    """Show an alert. For a key bound to an account, alerts that are not about the account do not exist."""
    owner = principal.account_or_all(service, None)
    found = show_alert(service.engine, alert, owner=None if owner is None else owner.id)
    return alert_answer(found, account_names(service.engine, [found.account_id]))
