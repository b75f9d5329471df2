"""``/v1/accounts``: who is billed."""

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
from metering.domain.instants import format_instant
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import change_account, declare_account, list_accounts
from metering.storage.accounts.accounts import AccountRow
from metering.web.bodies import require_json
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, Reader, ServiceNow
from metering.web.problems import ApiProblem

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

DefaultRoute = Literal["", "routed", "provider_key", "serverless"]
AccountName = Annotated[str, Path(max_length=MAX_NAME_LENGTH, description="The account's current name.", examples=["acme"])]

_ROUTE = (
    "How the account's requests are routed where a record does not say: `routed` (Hugging Face bills), `provider_key` (the"
    " partner bills), `serverless`, or empty for unknown."
)


class Account(Answer):
    """A Hugging Face user or organisation that is billed."""

    name: str = Field(description="Its current name.", examples=["acme"])
    default_route: DefaultRoute = Field(description=_ROUTE, examples=["routed"])
    created_at: str = instant_field("When it was declared")


class AccountPage(Answer):
    """A page of accounts, by name."""

    items: list[Account] = Field(
        description="The accounts.",
        examples=[[{"name": "acme", "default_route": "routed", "created_at": "2026-11-03T10:15:00.123456Z"}]],
    )
    next_cursor: str | None = next_cursor_field()


class NewAccount(RequestModel):
    """An account to declare."""

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, description="Its name at Hugging Face.", examples=["acme"])
    default_route: DefaultRoute = Field("", description=_ROUTE, examples=["routed"])


class AccountChange(RequestModel):
    """What to change of an account; what is left out stays."""

    name: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="Another name from now on; events of earlier times keep finding the old one.",
        examples=["acme-labs"],
    )
    default_route: DefaultRoute | None = Field(None, description=_ROUTE, examples=["provider_key"])


def account_answer(row: AccountRow) -> Account:
    """Return an account as it is answered."""
    return Account.model_validate(
        {"name": row.name, "default_route": row.default_route, "created_at": format_instant(row.created_at)}
    )


@router.get("", operation_id="list_accounts", summary="List accounts", responses=problems("invalid_cursor"))
def get_accounts(
    principal: Reader, service: ServiceNow, limit: LimitParameter = DEFAULT_PAGE, cursor: CursorParameter = None
) -> AccountPage:
    """List the accounts by name; a key that is bound to one account sees that one only."""
    after = "" if cursor is None else str(read_cursor(cursor, "accounts", [str])[0])
    if principal.account is not None:
        rows = [principal.account] if principal.account.name > after else []
    else:
        rows = list_accounts(service.engine, after=after, limit=limit + 1)
    more = write_cursor([rows[limit - 1].name], "accounts") if len(rows) > limit else None
    return AccountPage(items=[account_answer(row) for row in rows[:limit]], next_cursor=more)


@router.post(
    "",
    operation_id="declare_account",
    summary="Declare an account",
    status_code=201,
    responses=problems("bound_key", "already_exists", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def post_account(principal: Admin, service: ServiceNow, body: NewAccount) -> Account:
    """Declare an account. Its name finds it for all time so far, also in logs that are older."""
    principal.require_unbound()
    row = declare_account(service.engine, body.name, default_route=body.default_route, now=service.clock())
    return account_answer(row)


@router.get("/{account}", operation_id="show_account", summary="Show an account", responses=problems("not_found"))
def get_account(principal: Reader, service: ServiceNow, account: AccountName) -> Account:
    """Show an account."""
    return account_answer(principal.find_account(service, account))


@router.patch(
    "/{account}",
    operation_id="change_account",
    summary="Rename an account, or change its route",
    responses=problems("not_found", "bound_key", "already_exists", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def patch_account(principal: Admin, service: ServiceNow, account: AccountName, body: AccountChange) -> Account:
    """Change an account; what the body leaves out stays. Renaming needs a key that is bound to no account."""
    row = principal.find_account(service, account)
    if body.name is None and body.default_route is None:
        raise ApiProblem("invalid_request", "name what to change: name, default_route")
    if body.name is not None:
        # Whether a name is taken is nothing that a bound key may learn.
        principal.require_unbound()
    changed = change_account(
        service.engine, row.name, new_name=body.name, default_route=body.default_route, now=service.clock()
    )
    return account_answer(changed)
