"""``/v1/keys``: API keys. A key that is bound to an account manages that account's keys and sees no others."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from metering.answers.accounts.api_keys import (
    CREATES_ACCOUNTS,
    SCOPES_TEXT,
    ApiKeyPage,
    CreatedApiKeyAnswer,
    Scope,
    api_key_answer,
    created_api_key_answer,
)
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.accounts.api_keys import SCOPES
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.accounts.manage_keys import NewKey, create_key, list_keys, revoke_key
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Principal, ServiceNow

router = APIRouter(prefix="/v1/keys", tags=["keys"])

_LIST = "keys"


class NewApiKey(RequestModel):
    """A key to create."""

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, description="A name for the key.", examples=["gateway-1"])
    scopes: list[Scope] = Field(min_length=1, max_length=len(SCOPES), description=SCOPES_TEXT, examples=[["ingest"]])
    account: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="The account to bind it to. Default: all accounts, or the account your own key is bound to.",
        examples=["acme"],
    )
    creates_accounts: bool = Field(default=False, description=CREATES_ACCOUNTS, examples=[False])


Prefix = Annotated[str, Path(max_length=40, description="The key's prefix.", examples=["9f2ab61c03de"])]


@router.get("", operation_id="list_keys", summary="List keys", responses=problems("invalid_cursor"))
def get_keys(principal: Admin, service: ServiceNow, page: PageNow) -> ApiKeyPage:
    """List keys, oldest first. A bound key sees only its account's keys."""
    after = int(page.start(_LIST, [0])[0])
    keys = list_keys(service.engine, account_id=_own(principal), after=after, limit=page.rows)
    names = account_names(service.engine, [key.account_id for key in keys])
    return page.of(ApiKeyPage, keys, lambda key: api_key_answer(key, names), lambda key: [key.id], _LIST)


@router.post(
    "",
    operation_id="create_key",
    summary="Create a key",
    status_code=201,
    responses=problems("not_found", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def post_key(principal: Admin, service: ServiceNow, body: NewApiKey) -> CreatedApiKeyAnswer:
    """Create a key and return it with its token, which is shown only once."""
    account = principal.account_or_all(service, body.account)
    new = NewKey(body.name, list(body.scopes), None if account is None else account.name, body.creates_accounts)
    key, token = create_key(service.engine, new, now=service.clock())
    return created_api_key_answer(key, token, {} if account is None else {account.id: account.name})


@router.delete("/{prefix}", operation_id="revoke_key", summary="Revoke a key", status_code=204, responses=problems("not_found"))
def delete_key(principal: Admin, service: ServiceNow, prefix: Prefix) -> None:
    """Revoke a key from now on. A key that does not exist, was revoked, or is bound to another account is not found."""
    revoke_key(service.engine, prefix, account_id=_own(principal), now=service.clock())


def _own(principal: Principal) -> int | None:
    return None if principal.account is None else principal.account.id
