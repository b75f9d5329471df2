"""``/v1/keys``: API keys. A key that is bound to an account manages that account's keys and sees no others."""

from typing import Annotated, Literal

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
from metering.domain.accounts.api_keys import ApiKey
from metering.domain.errors import NotFoundError
from metering.domain.instants import format_instant
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import show_account_by_id
from metering.operations.accounts.manage_keys import NewKey, create_key, list_keys, revoke_key
from metering.operations.service.open_service import Service
from metering.web.bodies import require_json
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, Principal, ServiceNow
from metering.web.problems import ApiProblem

router = APIRouter(prefix="/v1/keys", tags=["keys"])

Scope = Literal["ingest", "read", "metrics", "billing", "admin"]

_SCOPES = "What it may do: `ingest` events, `read`, scrape `metrics`, or `admin`, which contains the others."
_CREATES = "Whether records that it sends declare the accounts that they name; without it, those go to `unassigned`."


class Key(Answer):
    """A key, without its secret."""

    prefix: str = Field(description="The part of the key that names it.", examples=["9f2ab61c03de"])
    name: str = Field(description="What it is called.", examples=["gateway-1"])
    account: str | None = Field(description="The account it is bound to; null: all accounts.", examples=["acme"])
    scopes: list[Scope] = Field(description=_SCOPES, examples=[["ingest"]])
    creates_accounts: bool = Field(description=_CREATES, examples=[False])
    created_at: str = instant_field("When it was made")
    revoked_at: str | None = instant_field("When it was revoked; null: it is valid", None)


class KeyPage(Answer):
    """A page of keys, oldest first."""

    items: list[Key] = Field(description="The keys, revoked ones too.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class CreatedKey(Key):
    """A new key with its secret, which is shown this once."""

    token: str = Field(
        description="What its owner sends as bearer token; only a hash of it is kept.",
        examples=["hfm_9f2ab61c03de_<64 hex digits>"],
    )


class WantedKey(RequestModel):
    """A key to make."""

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, description="What to call it.", examples=["gateway-1"])
    scopes: list[Scope] = Field(min_length=1, max_length=4, description=_SCOPES, examples=[["ingest"]])
    account: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="The account to bind it to. Left out: all accounts, or the one that your own key is bound to.",
        examples=["acme"],
    )
    creates_accounts: bool = Field(default=False, description=_CREATES, examples=[False])


Prefix = Annotated[str, Path(max_length=40, description="The key's prefix.", examples=["9f2ab61c03de"])]


@router.get("", operation_id="list_keys", summary="List keys", responses=problems("invalid_cursor"))
def get_keys(
    principal: Admin, service: ServiceNow, limit: LimitParameter = DEFAULT_PAGE, cursor: CursorParameter = None
) -> KeyPage:
    """List the keys, oldest first; a bound key sees those of its own account."""
    after = 0 if cursor is None else int(read_cursor(cursor, "keys", [int])[0])
    keys = [key for key in list_keys(service.engine) if key.id > after and _may_see(principal, key)]
    names = _account_names(service, keys[:limit])
    return KeyPage(
        items=[Key.model_validate(_fields(key, names)) for key in keys[:limit]],
        next_cursor=write_cursor([keys[limit - 1].id], "keys") if len(keys) > limit else None,
    )


@router.post(
    "",
    operation_id="create_key",
    summary="Make a key",
    status_code=201,
    responses=problems("not_found", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def post_key(principal: Admin, service: ServiceNow, body: WantedKey) -> CreatedKey:
    """Make a key and answer it with its secret, this once."""
    account = principal.account_or_all(service, body.account)
    if account is not None and body.creates_accounts:
        raise ApiProblem("invalid_request", "a key that is bound to one account can not declare others")
    wanted = NewKey(body.name, list(body.scopes), None if account is None else account.name, body.creates_accounts)
    key, token = create_key(service.engine, wanted, now=service.clock())
    names = {} if account is None else {account.id: account.name}
    return CreatedKey.model_validate({**_fields(key, names), "token": token})


@router.delete("/{prefix}", operation_id="revoke_key", summary="Revoke a key", status_code=204, responses=problems("not_found"))
def delete_key(principal: Admin, service: ServiceNow, prefix: Prefix) -> None:
    """Revoke a key from now on. One that does not exist, was revoked before, or is another account's is not found."""
    if principal.account is not None:
        own = [key for key in list_keys(service.engine) if key.prefix == prefix and _may_see(principal, key)]
        if not own:
            raise NotFoundError(f"there is no valid key with the prefix {prefix[:40]!r}")
    revoke_key(service.engine, prefix, now=service.clock())


def _may_see(principal: Principal, key: ApiKey) -> bool:
    return principal.account is None or key.account_id == principal.account.id


def _account_names(service: Service, keys: list[ApiKey]) -> dict[int, str]:
    ids = {key.account_id for key in keys if key.account_id is not None}
    rows = [show_account_by_id(service.engine, account_id) for account_id in sorted(ids)]
    return {row.id: row.name for row in rows if row is not None}


def _fields(key: ApiKey, names: dict[int, str]) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "account": None if key.account_id is None else names.get(key.account_id),
        "scopes": sorted(key.scopes),
        "creates_accounts": key.creates_accounts,
        "created_at": format_instant(key.created_at),
        "revoked_at": None if key.revoked_at is None else format_instant(key.revoked_at),
    }
