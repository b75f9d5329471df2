"""``/v1/webhooks``: where alerts are sent. A key bound to an account manages only that account's endpoints."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from metering.answers.alerts.webhooks import (
    ACCOUNTS,
    DESCRIPTION,
    FORMAT,
    TYPES,
    WebhookAnswer,
    WebhookFormat,
    WebhookPage,
    WebhookWithSecretAnswer,
    webhook_answer,
    webhook_with_secret_answer,
)
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.alerts.manage_webhooks import (
    DEFAULT_OVERLAP_HOURS,
    MAX_DESCRIPTION_LENGTH,
    MAX_OVERLAP_HOURS,
    EndpointChange,
    NewEndpoint,
    change_webhook,
    create_webhook,
    delete_webhook,
    list_webhooks,
    rotate_webhook,
    show_webhook,
)
from metering.outbound.addresses import MAX_URL_LENGTH
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Principal, ServiceNow

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_URL = "The URL to send alerts to: `https://`, on the public internet unless a setting allows more."
_MOST_LISTED = 100
_LIST = "webhooks"


class NewWebhook(RequestModel):
    """A webhook endpoint to create."""

    url: str = Field(min_length=1, max_length=MAX_URL_LENGTH, description=_URL, examples=["https://example.com/hooks/metering"])
    account: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="Account that owns the endpoint; it receives only that account's alerts. Default: the account of a bound"
        " key, otherwise the operator.",
        examples=["acme"],
    )
    types: list[str] = Field(default=[], max_length=_MOST_LISTED, description=TYPES, examples=[["budget.threshold_reached"]])
    accounts: list[str] = Field(default=[], max_length=_MOST_LISTED, description=ACCOUNTS, examples=[[]])
    format: WebhookFormat = Field(default="standard", description=FORMAT, examples=["standard"])
    description: str = Field(default="", max_length=MAX_DESCRIPTION_LENGTH, description=DESCRIPTION, examples=["on-call"])


class WebhookChange(RequestModel):
    """Changes to a webhook endpoint. Fields that are left out keep their value."""

    url: str | None = Field(
        None, min_length=1, max_length=MAX_URL_LENGTH, description=_URL, examples=["https://example.com/hooks/metering"]
    )
    types: list[str] | None = Field(None, max_length=_MOST_LISTED, description=TYPES, examples=[["budget.threshold_reached"]])
    accounts: list[str] | None = Field(None, max_length=_MOST_LISTED, description=ACCOUNTS, examples=[[]])
    description: str | None = Field(None, max_length=MAX_DESCRIPTION_LENGTH, description=DESCRIPTION, examples=["on-call"])
    enabled: bool | None = Field(
        None,
        description="Enable or disable the endpoint. Deliveries held while it was disabled are sent by `POST .../redeliver`.",
        examples=[True],
    )


class SecretRotation(RequestModel):
    """How to replace a secret."""

    overlap_hours: int = Field(
        DEFAULT_OVERLAP_HOURS,
        ge=0,
        le=MAX_OVERLAP_HOURS,
        description="Hours for which previous secrets also sign, at most; 0 ends them now.",
        examples=[DEFAULT_OVERLAP_HOURS],
    )


WebhookId = Annotated[int, Path(ge=1, le=2**63 - 1, description="ID of the endpoint.", examples=[3])]

_BODY = ("unsupported_media_type", "body_too_large", "not_json")
_ABOUT_URL = ("forbidden_address", "invalid_webhook", "secret_key")


@router.get("", operation_id="list_webhooks", summary="List endpoints", responses=problems("invalid_cursor"))
def get_webhooks(principal: Admin, service: ServiceNow, page: PageNow) -> WebhookPage:
    """List endpoints, oldest first. A bound key sees only those of its account."""
    after = int(page.start(_LIST, [0])[0])
    endpoints = list_webhooks(service.engine, owner=owner_of(principal), after=after, limit=page.rows, now=service.clock())
    return page.of(WebhookPage, endpoints, answer=webhook_answer, key=lambda each: [each.endpoint.id], question=_LIST)


@router.post(
    "",
    operation_id="create_webhook",
    summary="Create an endpoint",
    status_code=201,
    responses=problems("not_found", *_ABOUT_URL, *_BODY),
    dependencies=[Depends(require_json)],
)
def post_webhook(principal: Admin, service: ServiceNow, body: NewWebhook) -> WebhookWithSecretAnswer:
    """Create an endpoint. The answer contains its signing secret, which is shown only once."""
    account = principal.account_or_all(service, body.account)
    new = NewEndpoint(
        body.url, None if account is None else account.name, body.types, body.accounts, body.format, body.description
    )
    endpoint, secret = create_webhook(service.engine, new, service.settings.webhooks, now=service.clock())
    return webhook_with_secret_answer(endpoint, secret)


@router.get("/{webhook}", operation_id="show_webhook", summary="Show an endpoint", responses=problems("not_found"))
def get_webhook(principal: Admin, service: ServiceNow, webhook: WebhookId) -> WebhookAnswer:
    """Show an endpoint, without its secrets."""
    return webhook_answer(show_webhook(service.engine, webhook, owner=owner_of(principal), now=service.clock()))


@router.patch(
    "/{webhook}",
    operation_id="change_webhook",
    summary="Change an endpoint",
    responses=problems("not_found", *_ABOUT_URL, *_BODY),
    dependencies=[Depends(require_json)],
)
def patch_webhook(principal: Admin, service: ServiceNow, webhook: WebhookId, body: WebhookChange) -> WebhookAnswer:
    """Change an endpoint. Fields that are left out keep their value."""
    change = EndpointChange(**body.model_dump())
    owner, settings = owner_of(principal), service.settings.webhooks
    return webhook_answer(change_webhook(service.engine, webhook, change, settings, owner=owner, now=service.clock()))


@router.delete(
    "/{webhook}",
    operation_id="delete_webhook",
    summary="Delete an endpoint",
    status_code=204,
    responses=problems("not_found"),
)
def delete_endpoint(principal: Admin, service: ServiceNow, webhook: WebhookId) -> None:
    """Delete an endpoint and its secrets, and cancel its pending deliveries."""
    delete_webhook(service.engine, webhook, owner=owner_of(principal), now=service.clock())


@router.post(
    "/{webhook}/rotate",
    operation_id="rotate_webhook",
    summary="Replace the secret",
    responses=problems("not_found", "invalid_webhook", "secret_key", *_BODY),
    dependencies=[Depends(require_json)],
)
def post_rotation(principal: Admin, service: ServiceNow, webhook: WebhookId, body: SecretRotation) -> WebhookWithSecretAnswer:
    """Give an endpoint a new secret, which is shown only once. During the overlap, previous secrets sign as well."""
    endpoint, secret = rotate_webhook(
        service.engine,
        webhook,
        service.settings.webhooks,
        overlap_hours=body.overlap_hours,
        owner=owner_of(principal),
        now=service.clock(),
    )
    return webhook_with_secret_answer(endpoint, secret)


def owner_of(principal: Principal) -> int | None:
    """Return the account whose endpoints a key may manage; None: all endpoints."""
    return None if principal.account is None else principal.account.id
