"""Answers about webhook endpoints. Only those to a creation and a rotation contain a secret."""

from typing import Any, Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field, optional_instant
from metering.domain.alerts.alert_types import ALERT_TYPES
from metering.domain.alerts.webhooks import EndpointDetails, SecretPeriod
from metering.domain.instants import format_instant

WebhookFormat = Literal["standard", "slack"]

TYPES = f"The alert types it receives; empty: all. Types: {', '.join(f'`{type_}`' for type_ in ALERT_TYPES)}."
ACCOUNTS = "The accounts whose alerts it receives, for an operator's endpoint; empty: all."
FORMAT = "The format of messages: `standard` (Standard Webhooks) or `slack` (an incoming webhook of Slack)."
DESCRIPTION = "What the endpoint is for."


class WebhookSecretAnswer(Answer):
    """The period in which a secret signs, without the secret."""

    created_at: str = instant_field("When it was created")
    expires_at: str | None = instant_field("When it expires; null: it is the current secret", None)


class WebhookAnswer(Answer):
    """A webhook endpoint."""

    id: int = Field(description="ID of the endpoint.", examples=[3])
    url: str = Field(
        description="The URL that alerts are sent to. For Slack only the host, because the URL is a secret.",
        examples=["https://example.com/hooks/metering"],
    )
    format: WebhookFormat = Field(description=FORMAT, examples=["standard"])
    description: str = Field(description=DESCRIPTION, examples=["on-call"])
    account: str | None = Field(description="The account that owns it; null: the operator.", examples=["acme"])
    types: list[str] = Field(description=TYPES, examples=[["budget.threshold_reached"]])
    accounts: list[str] = Field(description=ACCOUNTS, examples=[[]])
    enabled: bool = Field(description="Whether alerts are sent to it.", examples=[True])
    disabled_at: str | None = instant_field("When it was disabled; null: it is enabled", None)
    disabled_reason: Literal["", "asked", "gone", "failing"] = Field(
        description="Why it is disabled: `asked` (on request), `gone` (it answered 410) or `failing` (for five days).",
        examples=[""],
    )
    failing_since: str | None = instant_field("First failure after the last success; null: the last attempt succeeded", None)
    created_at: str = instant_field("When it was created")
    secrets: list[WebhookSecretAnswer] = Field(description="Its valid secrets, newest first.", examples=[[]])
    deliveries: dict[str, int] = Field(
        description="Number of deliveries by status: `pending`, `delivered`, `failed`, `held`.", examples=[{"delivered": 12}]
    )


class WebhookPage(Page):
    """A page of webhook endpoints, oldest first."""

    items: list[WebhookAnswer] = Field(description="The endpoints.", examples=[[]])


class WebhookWithSecretAnswer(WebhookAnswer):
    """A webhook endpoint with its new secret, which is shown only once."""

    secret: str = Field(description="The secret to verify signatures with.", examples=["whsec_<32 random bytes in base64>"])


class DeletedWebhookAnswer(Answer):
    """A webhook endpoint that was deleted."""

    id: int = Field(description="ID of the endpoint.", examples=[3])
    deleted: bool = Field(description="Always true.", examples=[True])


def webhook_answer(details: EndpointDetails) -> WebhookAnswer:
    """Return an endpoint."""
    return WebhookAnswer.model_validate(_fields(details))


def webhook_with_secret_answer(details: EndpointDetails, secret: str) -> WebhookWithSecretAnswer:
    """Return an endpoint with its new secret."""
    return WebhookWithSecretAnswer.model_validate({**_fields(details), "secret": secret})


def _fields(details: EndpointDetails) -> dict[str, Any]:
    endpoint = details.endpoint
    return {
        "id": endpoint.id,
        "url": endpoint.shown_url,
        "format": endpoint.format,
        "description": endpoint.description,
        "account": details.account,
        "types": sorted(endpoint.filter.types),
        "accounts": details.accounts,
        "enabled": endpoint.disabled_at is None,
        "disabled_at": optional_instant(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": optional_instant(endpoint.failing_since),
        "created_at": format_instant(endpoint.created_at),
        "secrets": [_secret_answer(each) for each in details.secrets],
        "deliveries": details.deliveries,
    }


def _secret_answer(secret: SecretPeriod) -> WebhookSecretAnswer:
    return WebhookSecretAnswer(created_at=format_instant(secret.created_at), expires_at=optional_instant(secret.expires_at))
