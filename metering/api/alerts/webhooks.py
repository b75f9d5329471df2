"""``/v1/webhooks``: to where alerts are sent. A key that is bound to an account manages that account's endpoints only."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from metering.api.fields import (
    DEFAULT_PAGE,
    Answer,
    CursorParameter,
    LimitParameter,
    RequestModel,
    instant_field,
    next_cursor_field,
)
from metering.api.openapi import problems
from metering.domain.alerts.alert_types import ALERT_TYPES
from metering.domain.alerts.webhooks import EndpointDetails
from metering.domain.instants import format_instant
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.alerts.manage_webhooks import (
    DEFAULT_OVERLAP_HOURS,
    LONGEST_DESCRIPTION,
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
from metering.outbound.addresses import LONGEST_ADDRESS
from metering.web.bodies import require_json
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, Principal, ServiceNow

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_URL = "Where alerts are sent: `https://`, on the public internet unless a setting allows more."
_TYPES = f"The types of alerts that it is sent; empty: all. There are {', '.join(f'`{type_}`' for type_ in ALERT_TYPES)}."
_ACCOUNTS = "The accounts that it is sent alerts about, of an endpoint that is bound to none; empty: all."
_DESCRIPTION = "What it is for."
_MOST_LISTED = 100

Format = Literal["standard", "slack"]


class SecretValidity(Answer):
    """Since when a secret signs, and until when; never the secret."""

    created_at: str = instant_field("Since when")
    expires_at: str | None = instant_field("Until when; null: it is the current one", None)


class Webhook(Answer):
    """An endpoint."""

    id: int = Field(description="The endpoint.", examples=[3])
    url: str = Field(
        description="Where alerts are sent. Of an incoming webhook of Slack, whose address is a secret, only the host.",
        examples=["https://example.com/hooks/metering"],
    )
    format: Format = Field(description="What the receiver reads.", examples=["standard"])
    description: str = Field(description=_DESCRIPTION, examples=["on-call"])
    account: str | None = Field(description="Whose it is; null: the operator's.", examples=["acme"])
    types: list[str] = Field(description=_TYPES, examples=[["budget.threshold_reached"]])
    accounts: list[str] = Field(description=_ACCOUNTS, examples=[[]])
    enabled: bool = Field(description="Whether anything is sent to it.", examples=[True])
    disabled_at: str | None = instant_field("Since when nothing is sent to it; null: it is enabled", None)
    disabled_reason: Literal["", "asked", "gone", "failing"] = Field(
        description="Why: somebody asked for it, the receiver answered 410, or it failed for five days.", examples=[""]
    )
    failing_since: str | None = instant_field("The first failure after the last success; null: the last one succeeded", None)
    created_at: str = instant_field("When it was made")
    secrets: list[SecretValidity] = Field(description="The secrets that sign, the newest first.", examples=[[]])
    deliveries: dict[str, int] = Field(
        description="How many deliveries there are by status: `pending`, `delivered`, `failed`, `held`.",
        examples=[{"delivered": 12}],
    )


class WebhookPage(Answer):
    """A page of endpoints, oldest first."""

    items: list[Webhook] = Field(description="The endpoints.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class WebhookWithSecret(Webhook):
    """An endpoint with the secret that signs, which is shown this once."""

    secret: str = Field(
        description="What the receiver verifies signatures with.", examples=["whsec_<32 random bytes in base64>"]
    )


class WantedWebhook(RequestModel):
    """An endpoint to make."""

    url: str = Field(
        min_length=1, max_length=LONGEST_ADDRESS, description=_URL, examples=["https://example.com/hooks/metering"]
    )
    account: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="Whose it is, and whose alerts it is sent. Left out: the operator's, or your bound key's account's.",
        examples=["acme"],
    )
    types: list[str] = Field(default=[], max_length=_MOST_LISTED, description=_TYPES, examples=[["budget.threshold_reached"]])
    accounts: list[str] = Field(default=[], max_length=_MOST_LISTED, description=_ACCOUNTS, examples=[[]])
    format: Format = Field(default="standard", description="What the receiver reads.", examples=["standard"])
    description: str = Field(default="", max_length=LONGEST_DESCRIPTION, description=_DESCRIPTION, examples=["on-call"])


class WebhookChange(RequestModel):
    """What is to be another; what is left out stays."""

    url: str | None = Field(
        None, min_length=1, max_length=LONGEST_ADDRESS, description=_URL, examples=["https://example.com/hooks/metering"]
    )
    types: list[str] | None = Field(None, max_length=_MOST_LISTED, description=_TYPES, examples=[["budget.threshold_reached"]])
    accounts: list[str] | None = Field(None, max_length=_MOST_LISTED, description=_ACCOUNTS, examples=[[]])
    description: str | None = Field(None, max_length=LONGEST_DESCRIPTION, description=_DESCRIPTION, examples=["on-call"])
    enabled: bool | None = Field(
        None,
        description="Send again, or send nothing. What was held meanwhile is sent by `POST .../redeliver`.",
        examples=[True],
    )


class Rotation(RequestModel):
    """How a secret is replaced."""

    overlap_hours: int = Field(
        DEFAULT_OVERLAP_HOURS,
        ge=0,
        le=MAX_OVERLAP_HOURS,
        description="For how long former secrets sign too, at most; 0: no longer, none of them.",
        examples=[DEFAULT_OVERLAP_HOURS],
    )


WebhookId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The endpoint.", examples=[3])]

_BODY = ("unsupported_media_type", "body_too_large", "not_json")
_ABOUT_URL = ("forbidden_address", "invalid_webhook", "secret_key")


@router.get("", operation_id="list_webhooks", summary="List endpoints", responses=problems("invalid_cursor"))
def get_webhooks(
    principal: Admin, service: ServiceNow, limit: LimitParameter = DEFAULT_PAGE, cursor: CursorParameter = None
) -> WebhookPage:
    """List endpoints, oldest first; a bound key sees those of its own account."""
    after = 0 if cursor is None else int(read_cursor(cursor, "webhooks", [int])[0])
    found = list_webhooks(service.engine, owner=owner_of(principal), after=after, limit=limit + 1, now=service.clock())
    return WebhookPage(
        items=[Webhook.model_validate(_fields(each)) for each in found[:limit]],
        next_cursor=write_cursor([found[limit - 1].row.id], "webhooks") if len(found) > limit else None,
    )


@router.post(
    "",
    operation_id="create_webhook",
    summary="Make an endpoint",
    status_code=201,
    responses=problems("not_found", *_ABOUT_URL, *_BODY),
    dependencies=[Depends(require_json)],
)
def post_webhook(principal: Admin, service: ServiceNow, body: WantedWebhook) -> WebhookWithSecret:
    """Make an endpoint and answer it with the secret that signs, this once."""
    account = principal.account_or_all(service, body.account)
    wanted = NewEndpoint(
        body.url, None if account is None else account.name, body.types, body.accounts, body.format, body.description
    )
    endpoint, secret = create_webhook(service.engine, wanted, service.settings.webhooks, now=service.clock())
    return WebhookWithSecret.model_validate({**_fields(endpoint), "secret": secret})


@router.get("/{webhook}", operation_id="show_webhook", summary="Show an endpoint", responses=problems("not_found"))
def get_webhook(principal: Admin, service: ServiceNow, webhook: WebhookId) -> Webhook:
    """Show an endpoint; never its secrets."""
    found = show_webhook(service.engine, webhook, owner=owner_of(principal), now=service.clock())
    return Webhook.model_validate(_fields(found))


@router.patch(
    "/{webhook}",
    operation_id="change_webhook",
    summary="Change an endpoint",
    responses=problems("not_found", *_ABOUT_URL, *_BODY),
    dependencies=[Depends(require_json)],
)
def patch_webhook(principal: Admin, service: ServiceNow, webhook: WebhookId, body: WebhookChange) -> Webhook:
    """Change an endpoint; what is left out stays."""
    change = EndpointChange(**body.model_dump())
    owner, settings = owner_of(principal), service.settings.webhooks
    found = change_webhook(service.engine, webhook, change, settings, owner=owner, now=service.clock())
    return Webhook.model_validate(_fields(found))


@router.delete(
    "/{webhook}",
    operation_id="delete_webhook",
    summary="Delete an endpoint",
    status_code=204,
    responses=problems("not_found"),
)
def delete_endpoint(principal: Admin, service: ServiceNow, webhook: WebhookId) -> None:
    """Delete an endpoint with its secrets and what was to be sent to it."""
    delete_webhook(service.engine, webhook, owner=owner_of(principal), now=service.clock())


@router.post(
    "/{webhook}/rotate",
    operation_id="rotate_webhook",
    summary="Replace the secret",
    responses=problems("not_found", "invalid_webhook", "secret_key", *_BODY),
    dependencies=[Depends(require_json)],
)
def post_rotation(principal: Admin, service: ServiceNow, webhook: WebhookId, body: Rotation) -> WebhookWithSecret:
    """Give an endpoint a new secret, shown this once. For a time messages carry a signature by the former one too."""
    endpoint, secret = rotate_webhook(
        service.engine,
        webhook,
        service.settings.webhooks,
        overlap_hours=body.overlap_hours,
        owner=owner_of(principal),
        now=service.clock(),
    )
    return WebhookWithSecret.model_validate({**_fields(endpoint), "secret": secret})


def owner_of(principal: Principal) -> int | None:
    """Return whose endpoints a key sees: its account's, None: all."""
    return None if principal.account is None else principal.account.id


def _fields(endpoint: EndpointDetails) -> dict[str, Any]:
    row = endpoint.row
    return {
        "id": row.id,
        "url": row.shown_url,
        "format": row.format,
        "description": row.description,
        "account": endpoint.account,
        "types": sorted(row.filter.types),
        "accounts": endpoint.accounts,
        "enabled": row.disabled_at is None,
        "disabled_at": _instant(row.disabled_at),
        "disabled_reason": row.disabled_reason,
        "failing_since": _instant(row.failing_since),
        "created_at": format_instant(row.created_at),
        "secrets": _validity(endpoint),
        "deliveries": endpoint.deliveries,
    }


def _validity(endpoint: EndpointDetails) -> Sequence[dict[str, str | None]]:
    return [
        {"created_at": format_instant(each.created_at), "expires_at": _instant(each.expires_at)} for each in endpoint.secrets
    ]


def _instant(micros: int | None) -> str | None:
    return None if micros is None else format_instant(micros)
