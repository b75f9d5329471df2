"""``/v1/budgets``: how much may be spent, and how it stands."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from metering.api.budgets.budget_answers import BudgetAnswer, BudgetPage, BudgetWithHistory, budget_fields, revision_fields
from metering.api.fields import (
    DEFAULT_PAGE,
    SIGNED_USD_PATTERN,
    AccountParameter,
    CursorParameter,
    LimitParameter,
    RequestModel,
)
from metering.api.openapi import problems
from metering.domain.budgets.budgets import (
    DEFAULT_THRESHOLDS,
    FULL,
    MAX_THRESHOLDS,
    Action,
    Budget,
    BudgetBasis,
    BudgetTerms,
    canonical_scope,
    changed,
)
from metering.domain.budgets.periods import Window
from metering.domain.errors import NotFoundError
from metering.domain.instants import day_number
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.budgets.check_scope import check_scope
from metering.operations.budgets.manage_budgets import (
    Author,
    change_budget,
    create_budget,
    delete_budget,
    find_budget,
    list_budgets,
    show_budget,
)
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.bodies import require_json
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, Principal, Reader, ServiceNow
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/budgets", tags=["budgets"])

WindowName = Literal["day", "week", "month", "quarter", "fixed"]
ActionName = Literal["notify", "block"]
BasisName = Literal["gross", "after_credits"]

_BODY_PROBLEMS = (
    "not_found", "unsupported_media_type", "body_too_large", "not_json", "invalid_amount", "invalid_threshold", "invalid_scope",
    "invalid_window", "invalid_basis", "invalid_time",
)  # fmt: skip
_AMOUNT = "How much may be spent in a period, in dollars, at most nine decimals."
_WINDOW = "How long a period is: a UTC day, ISO week, month or quarter, or one `fixed` window."
_START = "The first day of a fixed window (UTC)."
_END = "The day after its last one."
_SCOPE = "What is counted: values of `provider`, `model`, `project`, `key`, `tag:<name>`; all must match, one value of each."
_THRESHOLDS = "At which whole percentages of the amount an alert is raised, once a period."
_FORECAST = "Also alert, once a period, when the forecast is at or above this percentage; null: never."
_ACTION = "`notify`, or `block`: its state says so, and the pass-through refuses what it covers."
_BLOCK = f"From which percentage on it blocks, until spending falls below; null: {FULL}."
_BASIS = (
    "`gross`: every charge of every route, by event time. `after_credits`: the month's billable charges that no credit pays."
)
_NAME = "What to call it."
_EXAMPLE_SCOPE = {"project": ["search"], "tag:team": ["core"]}


class NewBudget(RequestModel):
    """A budget to make."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account; a bound key may leave it out.", examples=["acme"]
    )
    amount_usd: str = Field(pattern=SIGNED_USD_PATTERN, description=_AMOUNT, examples=["500.00"])
    window: WindowName = Field("month", description=_WINDOW, examples=["month"])
    start: str | None = Field(None, max_length=40, description=_START, examples=["2026-11-03"])
    end: str | None = Field(None, max_length=40, description=_END, examples=["2026-11-20"])
    scope: dict[str, list[str]] = Field({}, description=_SCOPE, examples=[_EXAMPLE_SCOPE])
    thresholds: list[int] = Field(
        list(DEFAULT_THRESHOLDS), max_length=MAX_THRESHOLDS, description=_THRESHOLDS, examples=[list(DEFAULT_THRESHOLDS)]
    )
    forecast_percent: int | None = Field(None, description=_FORECAST, examples=[110])
    action: ActionName = Field("notify", description=_ACTION, examples=["notify"])
    block_percent: int | None = Field(None, description=_BLOCK, examples=[100])
    basis: BasisName = Field("gross", description=_BASIS, examples=["gross"])
    name: str = Field("", max_length=MAX_NAME_LENGTH, description=_NAME, examples=["search, all models"])


class BudgetChange(RequestModel):
    """What to change of a budget; what is left out stays."""

    amount_usd: str | None = Field(None, pattern=SIGNED_USD_PATTERN, description=_AMOUNT, examples=["750.00"])
    window: WindowName | None = Field(None, description=_WINDOW, examples=["month"])
    start: str | None = Field(None, max_length=40, description=_START, examples=["2026-11-03"])
    end: str | None = Field(None, max_length=40, description=_END, examples=["2026-11-20"])
    scope: dict[str, list[str]] | None = Field(None, description=_SCOPE, examples=[_EXAMPLE_SCOPE])
    thresholds: list[int] | None = Field(None, max_length=MAX_THRESHOLDS, description=_THRESHOLDS, examples=[[90, 100]])
    forecast_percent: int | None = Field(None, description=_FORECAST, examples=[110])
    action: ActionName | None = Field(None, description=_ACTION, examples=["block"])
    block_percent: int | None = Field(None, description=_BLOCK, examples=[120])
    basis: BasisName | None = Field(None, description=_BASIS, examples=["gross"])
    name: str | None = Field(None, max_length=MAX_NAME_LENGTH, description=_NAME, examples=["search"])


BudgetId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The budget.", examples=[3])]
OnParameter = Annotated[
    str | None,
    Query(max_length=40, description="A day: the period that it is in. Left out: the present one.", examples=["2026-10-31"]),
]


@router.get("", operation_id="list_budgets", summary="List budgets", responses=problems("not_found", "invalid_cursor"))
def get_budgets(
    principal: Reader,
    service: ServiceNow,
    account: AccountParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> BudgetPage:
    """List budgets, oldest first, each as it stands in its present period."""
    found = principal.account_or_all(service, account)
    question = ["budgets", None if found is None else found.id]
    after = 0 if cursor is None else int(read_cursor(cursor, question, [int])[0])
    views = list_budgets(
        service.engine,
        service.catalogue,
        now=service.clock(),
        account=None if found is None else found.name,
        after=after,
        limit=limit + 1,
    )
    return BudgetPage(
        items=[BudgetAnswer.model_validate(budget_fields(view)) for view in views[:limit]],
        next_cursor=write_cursor([views[limit - 1].row.id], question) if len(views) > limit else None,
    )


@router.post(
    "",
    operation_id="create_budget",
    summary="Make a budget",
    status_code=201,
    responses=problems("account_required", *_BODY_PROBLEMS),
    dependencies=[Depends(require_json)],
)
def post_budget(principal: Admin, service: ServiceNow, body: NewBudget) -> BudgetAnswer:
    """Make a budget. Its present period is judged at once: what is reached already is alerted on."""
    account = principal.find_account(service, body.account)
    said = body.model_dump(exclude={"account", "amount_usd"}, exclude_unset=True)
    terms = changed(BudgetTerms(amount_nano=_amount(body.amount_usd)), _said_of(said))
    view = create_budget(service.engine, account.name, terms, _said(principal, service), service.catalogue)
    return BudgetAnswer.model_validate(budget_fields(view, _warnings(service, terms)))


@router.get("/{budget}", operation_id="show_budget", summary="Show a budget", responses=problems("not_found", "invalid_time"))
def get_budget(principal: Reader, service: ServiceNow, budget: BudgetId, on: OnParameter = None) -> BudgetWithHistory:
    """Show how a budget stands, and everything that was said of it."""
    _own(principal, service, budget)
    day = None if on is None else day_number(query.day("query.on", on))
    view, revisions = show_budget(service.engine, budget, service.catalogue, now=service.clock(), day=day)
    return BudgetWithHistory.model_validate({**budget_fields(view), "revisions": [revision_fields(row) for row in revisions]})


@router.patch(
    "/{budget}",
    operation_id="change_budget",
    summary="Change a budget",
    responses=problems(*_BODY_PROBLEMS),
    dependencies=[Depends(require_json)],
)
def patch_budget(principal: Admin, service: ServiceNow, budget: BudgetId, body: BudgetChange) -> BudgetAnswer:
    """Change a budget from now on; what is left out stays. What was alerted on stays so, and a new threshold that is reached
    already is alerted on at once.
    """
    before = _own(principal, service, budget).terms
    terms = changed(before, _said_of(body.model_dump(exclude_unset=True)))
    view = change_budget(service.engine, budget, terms, _said(principal, service), service.catalogue)
    return BudgetAnswer.model_validate(budget_fields(view, _warnings(service, terms)))


@router.delete(
    "/{budget}", operation_id="delete_budget", summary="Delete a budget", status_code=204, responses=problems("not_found")
)
def remove_budget(principal: Admin, service: ServiceNow, budget: BudgetId) -> None:
    """End a budget: it is judged and listed no more. Its alerts, and what was said of it, stay on record."""
    _own(principal, service, budget)
    delete_budget(service.engine, budget, _said(principal, service))


def _said_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a budget that a body states. Null means left out, except where it says that there is none."""
    stated = {name: value for name, value in body.items() if value is not None or name == "forecast_percent"}
    found: dict[str, Any] = {}
    for name, value in stated.items():
        match name:
            case "amount_usd":
                found["amount_nano"] = _amount(value)
            case "start" | "end":
                found["first_day" if name == "start" else "end_day"] = day_number(query.day(f"body.{name}", value))
            case "thresholds":
                found[name] = tuple(value)
            case "scope":
                found[name] = canonical_scope({dimension: tuple(values) for dimension, values in value.items()})
            case "window" | "action" | "basis":
                found[name] = _KINDS[name](value)
            case _:
                found[name] = value
    return found


_KINDS: dict[str, Callable[[str], Any]] = {"window": Window, "action": Action, "basis": BudgetBasis}


def _amount(text: str) -> int:
    return parse_usd(text, unit_per_usd=NANO_PER_USD)


def _own(principal: Principal, service: Service, budget_id: int) -> Budget:
    """Return a budget that the key may see; another account's is answered like one that does not exist."""
    row = find_budget(service.engine, budget_id)
    if principal.account is not None and row.account_id != principal.account.id:
        raise NotFoundError(f"there is no budget {budget_id}")
    return row


def _said(principal: Principal, service: Service) -> Author:
    return Author(f"key {principal.key.prefix}", service.clock())


def _warnings(service: Service, terms: BudgetTerms) -> list[str]:
    return check_scope(service.engine, terms.scope, service.settings.ingest.declared_tags)
