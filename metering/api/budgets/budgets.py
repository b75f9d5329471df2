"""``/v1/budgets``: limits on spend, and their state."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from metering.answers.budgets.budgets import (
    ACTION,
    AMOUNT,
    BASIS,
    BLOCK,
    END,
    EXAMPLE_SCOPE,
    FORECAST,
    NAME,
    SCOPE,
    START,
    THRESHOLDS,
    WINDOW,
    ActionName,
    BasisName,
    BudgetAnswer,
    BudgetHistoryAnswer,
    BudgetPage,
    WindowName,
    budget_answer,
    budget_history_answer,
)
from metering.api.fields import SIGNED_USD_PATTERN, AccountParameter, RequestModel
from metering.api.openapi import problems
from metering.domain.budgets.budget_state import BudgetDetails
from metering.domain.budgets.budgets import (
    DEFAULT_THRESHOLDS,
    MAX_THRESHOLDS,
    Action,
    BudgetBasis,
    BudgetTerms,
    apply_changes,
    canonical_scope,
)
from metering.domain.budgets.periods import Window
from metering.domain.instants import day_number
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.budgets.budget_warnings import budget_warnings
from metering.operations.budgets.manage_budgets import (
    Author,
    change_budget,
    create_budget,
    delete_budget,
    list_budgets,
    show_budget,
)
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Principal, Reader, ServiceNow
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/budgets", tags=["budgets"])

_BODY_PROBLEMS = (
    "not_found", "unsupported_media_type", "body_too_large", "not_json", "invalid_amount", "invalid_threshold", "invalid_scope",
    "invalid_window", "invalid_basis", "invalid_time",
)  # fmt: skip
_AMOUNT = f"{AMOUNT}, in dollars, with at most nine decimals."


class NewBudget(RequestModel):
    """A budget to create."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account; optional for a bound key.", examples=["acme"]
    )
    amount_usd: str = Field(pattern=SIGNED_USD_PATTERN, description=_AMOUNT, examples=["500.00"])
    window: WindowName = Field("month", description=WINDOW, examples=["month"])
    start: str | None = Field(None, max_length=40, description=START, examples=["2026-11-03"])
    end: str | None = Field(None, max_length=40, description=END, examples=["2026-11-20"])
    scope: dict[str, list[str]] = Field({}, description=SCOPE, examples=[EXAMPLE_SCOPE])
    thresholds: list[int] = Field(
        list(DEFAULT_THRESHOLDS), max_length=MAX_THRESHOLDS, description=THRESHOLDS, examples=[list(DEFAULT_THRESHOLDS)]
    )
    forecast_percent: int | None = Field(None, description=FORECAST, examples=[110])
    action: ActionName = Field("notify", description=ACTION, examples=["notify"])
    block_percent: int | None = Field(None, description=BLOCK, examples=[100])
    basis: BasisName = Field("gross", description=BASIS, examples=["gross"])
    name: str = Field("", max_length=MAX_NAME_LENGTH, description=NAME, examples=["search, all models"])


class BudgetChange(RequestModel):
    """Changes to a budget. Fields that are left out keep their value."""

    amount_usd: str | None = Field(None, pattern=SIGNED_USD_PATTERN, description=_AMOUNT, examples=["750.00"])
    window: WindowName | None = Field(None, description=WINDOW, examples=["month"])
    start: str | None = Field(None, max_length=40, description=START, examples=["2026-11-03"])
    end: str | None = Field(None, max_length=40, description=END, examples=["2026-11-20"])
    scope: dict[str, list[str]] | None = Field(None, description=SCOPE, examples=[EXAMPLE_SCOPE])
    thresholds: list[int] | None = Field(None, max_length=MAX_THRESHOLDS, description=THRESHOLDS, examples=[[90, 100]])
    forecast_percent: int | None = Field(None, description=FORECAST, examples=[110])
    action: ActionName | None = Field(None, description=ACTION, examples=["block"])
    block_percent: int | None = Field(None, description=BLOCK, examples=[120])
    basis: BasisName | None = Field(None, description=BASIS, examples=["gross"])
    name: str | None = Field(None, max_length=MAX_NAME_LENGTH, description=NAME, examples=["search"])


BudgetId = Annotated[int, Path(ge=1, le=2**63 - 1, description="ID of the budget.", examples=[3])]
OnParameter = Annotated[
    str | None,
    Query(
        max_length=40,
        description="A day; the state is of the period that contains it. Default: today.",
        examples=["2026-10-31"],
    ),
]


@router.get("", operation_id="list_budgets", summary="List budgets", responses=problems("not_found", "invalid_cursor"))
def get_budgets(principal: Reader, service: ServiceNow, page: PageNow, account: AccountParameter = None) -> BudgetPage:
    """List budgets, oldest first, each with the state of its current period."""
    owner = principal.account_or_all(service, account)
    question = ["budgets", None if owner is None else owner.id]
    budgets = list_budgets(
        service.engine,
        service.catalog,
        now=service.clock(),
        account=None if owner is None else owner.name,
        after=int(page.start(question, [0])[0]),
        limit=page.rows,
    )
    return page.of(BudgetPage, budgets, answer=budget_answer, key=lambda each: [each.budget.id], question=question)


@router.post(
    "",
    operation_id="create_budget",
    summary="Create a budget",
    status_code=201,
    responses=problems("account_required", *_BODY_PROBLEMS),
    dependencies=[Depends(require_json)],
)
def post_budget(principal: Admin, service: ServiceNow, body: NewBudget) -> BudgetAnswer:
    """Create a budget. Its current period is evaluated at once: thresholds already reached raise alerts."""
    account = principal.find_account(service, body.account)
    fields = body.model_dump(exclude={"account", "amount_usd"}, exclude_unset=True)
    terms = apply_changes(BudgetTerms(amount_nano=_amount_nano(body.amount_usd)), _terms_in(fields))
    budget = create_budget(service.engine, account.name, terms, _author(principal, service), service.catalog)
    return _answer(service, budget)


@router.get("/{budget}", operation_id="show_budget", summary="Show a budget", responses=problems("not_found", "invalid_time"))
def get_budget(principal: Reader, service: ServiceNow, budget: BudgetId, on: OnParameter = None) -> BudgetHistoryAnswer:
    """Show a budget with its state and all its revisions."""
    day = None if on is None else day_number(query.day("query.on", on))
    details, revisions = show_budget(
        service.engine, budget, service.catalog, now=service.clock(), day=day, owner=_owner(principal)
    )
    return budget_history_answer(details, revisions)


@router.patch(
    "/{budget}",
    operation_id="change_budget",
    summary="Change a budget",
    responses=problems(*_BODY_PROBLEMS),
    dependencies=[Depends(require_json)],
)
def patch_budget(principal: Admin, service: ServiceNow, budget: BudgetId, body: BudgetChange) -> BudgetAnswer:
    """Change a budget from now on. Fields that are left out keep their value. Raised alerts remain; a new threshold that is
    already reached raises its alert at once. A new amount raises its alerts again.
    """
    changes = _terms_in(body.model_dump(exclude_unset=True))
    author, owner = _author(principal, service), _owner(principal)
    return _answer(service, change_budget(service.engine, budget, changes, author, service.catalog, owner=owner))


@router.delete(
    "/{budget}", operation_id="delete_budget", summary="Delete a budget", status_code=204, responses=problems("not_found")
)
def remove_budget(principal: Admin, service: ServiceNow, budget: BudgetId) -> None:
    """Delete a budget: it is no longer evaluated or listed. Its alerts and revisions are kept."""
    delete_budget(service.engine, budget, _author(principal, service), owner=_owner(principal))


def _terms_in(body: dict[str, Any]) -> dict[str, Any]:
    """Return the terms in a body. Null means left out, except for ``forecast_percent``, where it means none."""
    terms: dict[str, Any] = {}
    for name, value in body.items():
        if value is None and name != "forecast_percent":
            continue
        match name:
            case "amount_usd":
                terms["amount_nano"] = _amount_nano(value)
            case "start" | "end":
                terms["first_day" if name == "start" else "end_day"] = day_number(query.day(f"body.{name}", value))
            case "thresholds":
                terms[name] = tuple(value)
            case "scope":
                terms[name] = canonical_scope({dimension: tuple(values) for dimension, values in value.items()})
            case "window" | "action" | "basis":
                terms[name] = _ENUMS[name](value)
            case _:
                terms[name] = value
    return terms


_ENUMS: dict[str, Callable[[str], Any]] = {"window": Window, "action": Action, "basis": BudgetBasis}


def _amount_nano(text: str) -> int:
    return parse_usd(text, unit_per_usd=NANO_PER_USD)


def _owner(principal: Principal) -> int | None:
    return None if principal.account is None else principal.account.id


def _author(principal: Principal, service: Service) -> Author:
    return Author(f"key {principal.key.prefix}", service.clock())


def _answer(service: Service, details: BudgetDetails) -> BudgetAnswer:
    """Return a budget that was created or changed, with what may be wrong with it."""
    return budget_answer(details, budget_warnings(service.engine, details.budget, service.settings.ingest.declared_tags))
