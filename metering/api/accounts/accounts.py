"""``/v1/accounts``: who is billed."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from metering.answers.accounts.accounts import DEFAULT_ROUTE, AccountAnswer, AccountPage, DefaultRoute, account_answer
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.accounts.accounts import AccountPlans
from metering.domain.accounts.plan_history import PlanChange
from metering.domain.instants import date_of, day_of, first_date, month_of
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import (
    change_account,
    declare_account,
    list_accounts,
    show_account_plans,
)
from metering.operations.charges.correct_usage import apply_route_to_stored
from metering.operations.service.open_service import Service
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Reader, ServiceNow
from metering.web.problems import ApiProblem

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

AccountName = Annotated[str, Path(max_length=MAX_NAME_LENGTH, description="The account's current name.", examples=["acme"])]

_LIST = "accounts"


class NewAccount(RequestModel):
    """An account to declare."""

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, description="Its name at Hugging Face.", examples=["acme"])
    default_route: DefaultRoute = Field("", description=DEFAULT_ROUTE, examples=["routed"])
    plan: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="Its plan from the 1st of the current month; `POST /v1/accounts/{account}/plan` sets one from another day."
        " Default: free.",
        examples=["pro"],
    )


class AccountChange(RequestModel):
    """A change of an account. Omitted fields keep their value."""

    name: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="A new name from now on; events from before still find the account under its old name.",
        examples=["acme-labs"],
    )
    default_route: DefaultRoute | None = Field(None, description=DEFAULT_ROUTE, examples=["provider_key"])
    apply_to_stored: bool = Field(
        default=False,
        description="With `default_route`: also charge stored usage of unknown route again, as a correction run.",
        examples=[False],
    )


@router.get("", operation_id="list_accounts", summary="List accounts", responses=problems("invalid_cursor"))
def get_accounts(principal: Reader, service: ServiceNow, page: PageNow) -> AccountPage:
    """List accounts by name. A bound key sees only its own account."""
    after = str(page.start(_LIST, [""])[0])
    if principal.account is None:
        accounts = list_accounts(service.engine, after=after, limit=page.rows)
    else:
        own = show_account_plans(service.engine, principal.account.name)
        accounts = [own] if own.account.name > after else []
    today = _today(service)
    return page.of(
        AccountPage,
        accounts,
        answer=lambda each: account_answer(each, today, service.catalog),
        key=lambda each: [each.account.name],
        question=_LIST,
    )


@router.post(
    "",
    operation_id="declare_account",
    summary="Declare an account",
    status_code=201,
    responses=problems("bound_key", "already_exists", "invalid_plan", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def post_account(principal: Admin, service: ServiceNow, body: NewAccount) -> AccountAnswer:
    """Declare an account. Usage under its name counts from the beginning of time, so older logs find it too."""
    principal.require_unbound()
    now = service.clock()
    plan = None
    if body.plan is not None:
        service.catalog.check_seats(body.plan, 1)
        plan = PlanChange(first_date(month_of(now)), body.plan)
    row = declare_account(service.engine, body.name, default_route=body.default_route, plan=plan, now=now)
    return _answer(service, AccountPlans(row, [] if plan is None else [plan]))


@router.get("/{account}", operation_id="show_account", summary="Show an account", responses=problems("not_found"))
def get_account(principal: Reader, service: ServiceNow, account: AccountName) -> AccountAnswer:
    """Show an account with its plans."""
    return _answer(service, show_account_plans(service.engine, principal.find_account(service, account).name))


@router.patch(
    "/{account}",
    operation_id="change_account",
    summary="Rename an account or change its default route",
    responses=problems("not_found", "bound_key", "already_exists", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def patch_account(principal: Admin, service: ServiceNow, account: AccountName, body: AccountChange) -> AccountAnswer:
    """Change an account. Renaming needs a key that is not bound to an account."""
    row = principal.find_account(service, account)
    if body.name is None and body.default_route is None:
        raise ApiProblem("invalid_request", "nothing to change: send name, default_route or both")
    if body.name is not None:
        # A bound key must not learn whether a name is taken.
        principal.require_unbound()
    changed = change_account(
        service.engine, row.name, new_name=body.name, default_route=body.default_route, now=service.clock()
    )
    if body.apply_to_stored and body.default_route:
        apply_route_to_stored(service.engine, changed.id, body.default_route, service.settings.ingest, clock=service.clock)
    return _answer(service, show_account_plans(service.engine, changed.name))


def _answer(service: Service, of: AccountPlans) -> AccountAnswer:
    return account_answer(of, _today(service), service.catalog)


def _today(service: Service) -> date:
    return date_of(day_of(service.clock()))
