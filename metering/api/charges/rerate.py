"""``POST /v1/prices/rerate``: apply prices that turned out to be others, after a look at what that changes."""

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.api.fields import Answer, RequestModel, instant_field, nano_usd, usd
from metering.api.openapi import problems
from metering.domain.charges.rerating import Effect, RerateRun, RerateScope, RerateSummary
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import show_account_by_id
from metering.operations.charges.rerate import continue_rerate, preview_rerate, start_rerate
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.bodies import require_json
from metering.web.principal import Admin, ServiceNow
from metering.web.problems import ApiProblem, FieldError
from pricing.dollars import format_nano

router = APIRouter(prefix="/v1/prices", tags=["prices"])

_EFFECT = {
    "events": 1200,
    "before_nano_usd": 1_056_000_000,
    "before_usd": "1.056000000",
    "after_nano_usd": 1_248_000_000,
    "after_usd": "1.248000000",
    "difference_nano_usd": 192_000_000,
    "difference_usd": "0.192000000",
}
_MODEL = "meta-llama/Llama-3.3-70B-Instruct"


class RerateOrder(RequestModel):
    """Which charges to look at again."""

    account: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="Only this account's charges. Left out: all accounts', or, with a bound key, its own.",
        examples=["acme"],
    )
    start: str = Field(
        max_length=40, description="Of requests from then on: RFC 3339, or a date (midnight UTC).", examples=["2026-11-01"]
    )
    end: str = Field(max_length=40, description="Until then, exclusively.", examples=["2026-12-01T00:00:00Z"])
    provider: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only this provider's. Left out: any.", examples=["together"]
    )
    model: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only this model's. Left out: any.", examples=[_MODEL]
    )
    include_reported: bool = Field(
        default=False,
        description="Whether to replace costs that the provider reported, too, where a price is known by now.",
        examples=[False],
    )
    reason: str = Field(
        "",
        max_length=MAX_NAME_LENGTH,
        description="Why; it stands on every charge that is written. Needed with `apply`.",
        examples=["the contract's prices were recorded late"],
    )
    apply: bool = Field(
        default=False, description="Whether to write it; if not, the answer says what would change.", examples=[False]
    )


class RerateTotal(Answer):
    """What changes of some charges: before and after are amounts of those that change, and of no others."""

    events: int = Field(description="How many charges have another price.", examples=[1200])
    before_nano_usd: int = nano_usd("What they come to before", 1_056_000_000)
    before_usd: str = usd("What they come to before", "1.056000000")
    after_nano_usd: int = nano_usd("What they come to after", 1_248_000_000)
    after_usd: str = usd("What they come to after", "1.248000000")
    difference_nano_usd: int = nano_usd("After less before", 192_000_000)
    difference_usd: str = usd("After less before", "0.192000000")


class RerateEffect(RerateTotal):
    """What changes of one account, model and month."""

    account: str = Field(description="Who is billed.", examples=["acme"])
    provider: str = Field(description="Who served the requests.", examples=["together"])
    model: str = Field(description="The model; `(other)` where the account has too many series.", examples=[_MODEL])
    month: str = Field(description="The month of the requests.", examples=["2026-11"])


class RerateRunAnswer(Answer):
    """The run that wrote it."""

    id: int = Field(description="The run, which charges name. `metering rerate --resume` takes one up.", examples=[3])
    reason: str = Field(description="Why it was done.", examples=["the contract's prices were recorded late"])
    requested_at: str = instant_field("When it was begun")
    finished_at: str | None = instant_field("When it was done; null while it is not")


class RerateAnswer(Answer):
    """What re-rating changes, or changed."""

    applied: bool = Field(description="Whether it was written.", examples=[False])
    run: RerateRunAnswer | None = Field(description="The run that wrote it; null for a preview.", examples=[None])
    events_examined: int = Field(description="How many charges were looked at.", examples=[48_000])
    events_kept: int = Field(
        description="How many of them stay as they are because no price is known for them any more.", examples=[0]
    )
    effects: list[RerateEffect] = Field(
        description="What changes, by account, provider, model and month.",
        examples=[[{"account": "acme", "provider": "together", "model": _MODEL, "month": "2026-11", **_EFFECT}]],
    )
    total: RerateTotal = Field(description="All that changes.", examples=[_EFFECT])


@router.post(
    "/rerate",
    operation_id="rerate",
    summary="Apply other prices to what is charged",
    responses=problems("not_found", "unsupported_media_type", "body_too_large", "not_json", "invalid_time", "naive_time"),
    dependencies=[Depends(require_json)],
)
def post_rerate(principal: Admin, service: ServiceNow, body: RerateOrder) -> RerateAnswer:
    """Show what would change if charges were made at the prices that are known now, or, with `apply`, write it: each charge
    whose price is another is taken back and replaced. Charges that are right stay, so that the same again changes nothing.

    The answer to `apply` comes when the run is done. What an interruption leaves undone, the same request does.
    """
    account = principal.account_or_all(service, body.account)
    scope = RerateScope(
        account_id=None if account is None else account.id,
        start=query.instant("body.start", body.start),
        end=query.instant("body.end", body.end),
        provider=body.provider,
        model=body.model,
        include_reported=body.include_reported,
    )
    if scope.end <= scope.start:
        raise _invalid("body.end", "end must be after start")
    if not body.apply:
        return _answer(service, preview_rerate(service.engine, scope), None)
    if not body.reason.strip():
        raise _invalid("body.reason", "apply needs a reason")
    run = start_rerate(service.engine, scope, reason=body.reason, now=service.clock())
    result = continue_rerate(service.engine, run.id, clock=service.clock)
    return _answer(service, result.done_now, result.run)


def _invalid(field: str, detail: str) -> ApiProblem:
    return ApiProblem("invalid_request", detail, errors=[FieldError(field, "invalid_request", detail)])


def _answer(service: Service, found: RerateSummary, run: RerateRun | None) -> RerateAnswer:
    rows = [show_account_by_id(service.engine, account_id) for account_id in sorted({key[0] for key in found.by_group})]
    names = {row.id: row.name for row in rows if row is not None}
    effects = [
        RerateEffect.model_validate(
            {
                "account": names[account_id],
                "provider": provider,
                "model": model,
                "month": format_month(month),
                **_amounts(effect),
            }
        )
        for (account_id, provider, model, month), effect in found.by_group.items()
    ]
    return RerateAnswer(
        applied=run is not None,
        run=None if run is None else _run(run),
        events_examined=found.events,
        events_kept=found.kept,
        effects=sorted(effects, key=lambda each: (each.account, each.provider, each.model, each.month)),
        total=RerateTotal.model_validate(_amounts(found.total)),
    )


def _run(run: RerateRun) -> RerateRunAnswer:
    return RerateRunAnswer(
        id=run.id,
        reason=run.reason,
        requested_at=format_instant(run.requested_at),
        finished_at=None if run.finished_at is None else format_instant(run.finished_at),
    )


def _amounts(effect: Effect) -> dict[str, int | str]:
    fields: dict[str, int | str] = {"events": effect.events}
    difference = effect.after_nano - effect.before_nano
    for name, amount in (("before", effect.before_nano), ("after", effect.after_nano), ("difference", difference)):
        fields |= {f"{name}_nano_usd": amount, f"{name}_usd": format_nano(amount)}
    return fields
