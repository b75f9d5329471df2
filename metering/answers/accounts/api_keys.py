"""Answers about API keys. Only the answer to creating a key contains its token."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field, optional_instant
from metering.domain.accounts.api_keys import SCOPES, ApiKey
from metering.domain.instants import format_instant

Scope = Literal["ingest", "read", "metrics", "billing", "admin"]

SCOPES_TEXT = (
    "What the key may do: `ingest` events, `read`, scrape `metrics`, answer Hugging Face's `billing` questions, or `admin`,"
    " which includes all others."
)
CREATES_ACCOUNTS = (
    "Whether records sent with the key declare the accounts they name. Without it, usage of undeclared accounts goes to"
    " `unassigned`."
)


class ApiKeyAnswer(Answer):
    """An API key, without its secret."""

    prefix: str = Field(description="The part of the key that identifies it.", examples=["9f2ab61c03de"])
    name: str = Field(description="Its name.", examples=["gateway-1"])
    account: str | None = Field(description="The account it is bound to; null: all accounts.", examples=["acme"])
    scopes: list[Scope] = Field(description=SCOPES_TEXT, examples=[["ingest"]])
    creates_accounts: bool = Field(description=CREATES_ACCOUNTS, examples=[False])
    created_at: str = instant_field("When it was created")
    revoked_at: str | None = instant_field("When it was revoked; null: still valid", None)


class ApiKeyPage(Page):
    """A page of API keys, oldest first."""

    items: list[ApiKeyAnswer] = Field(description="The keys, including revoked ones.", examples=[[]])


class CreatedApiKeyAnswer(ApiKeyAnswer):
    """A new API key with its token, which is shown only once."""

    token: str = Field(
        description="The bearer token to send. Only a hash of it is stored.",
        examples=["hfm_9f2ab61c03de_<64 hex digits>"],
    )


def api_key_answer(key: ApiKey, names: Mapping[int, str]) -> ApiKeyAnswer:
    """Return a key; ``names`` are account names by id."""
    return ApiKeyAnswer.model_validate(_fields(key, names))


def created_api_key_answer(key: ApiKey, token: str, names: Mapping[int, str]) -> CreatedApiKeyAnswer:
    """Return a new key with its token."""
    return CreatedApiKeyAnswer.model_validate({**_fields(key, names), "token": token})


def _fields(key: ApiKey, names: Mapping[int, str]) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "account": None if key.account_id is None else names.get(key.account_id),
        "scopes": [scope for scope in SCOPES if scope in key.scopes],
        "creates_accounts": key.creates_accounts,
        "created_at": format_instant(key.created_at),
        "revoked_at": optional_instant(key.revoked_at),
    }
