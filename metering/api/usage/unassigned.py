"""``/v1/unassigned``: usage of accounts that nobody has declared, by name, and whose it is."""

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.api.fields import (
    DEFAULT_PAGE,
    Answer,
    CursorParameter,
    LimitParameter,
    RequestModel,
    instant_field,
    nano_usd,
    next_cursor_field,
    usd,
)
from metering.api.openapi import problems
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.assigning import AssignmentResult, AssignmentScope, MovedUsage, UnassignedUsage
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.usage.assign_usage import assign_usage, list_unassigned, preview_assignment
from metering.web import query
from metering.web.bodies import require_json
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, ServiceNow
from metering.web.problems import ApiProblem, FieldError
from pricing.dollars import format_nano

router = APIRouter(prefix="/v1/unassigned", tags=["accounts"])

_MOVED = {
    "events": 1200,
    "unpriced_events": 0,
    "before_nano_usd": 1_056_000_000,
    "before_usd": "1.056000000",
    "after_nano_usd": 1_056_000_000,
    "after_usd": "1.056000000",
}
_KIND = {"provider": "together", "model": "meta-llama/Llama-3.3-70B-Instruct", "month": "2026-11", "billed_in": "2026-11"}


class UnassignedAnswer(Answer):
    """Usage that arrived under one name, from one source."""

    name: str = Field(description="The name that the records gave; empty where they gave none.", examples=["acme-prod"])
    source: str = Field(description="The source of the records.", examples=["gateway-1"])
    first_time: str = instant_field("When its first request started")
    last_time: str = instant_field("When its last request started")
    events: int = Field(description="How many requests.", examples=[1200])
    unpriced_events: int = Field(description="How many of them have no price yet.", examples=[0])
    amount_nano_usd: int = nano_usd("What the others come to", 1_056_000_000)
    amount_usd: str = usd("What the others come to", "1.056000000")


class UnassignedPage(Answer):
    """A page of unassigned usage, by name and source."""

    items: list[UnassignedAnswer] = Field(description="The usage.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class AssignOrder(RequestModel):
    """Which usage to assign to whom."""

    account: str = Field(max_length=MAX_NAME_LENGTH, description="The account that it belongs to.", examples=["acme"])
    name: str = Field(
        max_length=MAX_NAME_LENGTH,
        description="The name that the records gave, exactly; empty for records that gave none.",
        examples=["acme-prod"],
    )
    source: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only from this source. Left out: any.", examples=["gateway-1"]
    )
    project: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only of this project. Left out: any.", examples=["search"]
    )
    key: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only made with this key. Left out: any.", examples=["prod-1"]
    )
    start: str | None = Field(
        None, max_length=40, description="Only requests from then on: RFC 3339, or a date.", examples=["2026-11-01"]
    )
    end: str | None = Field(None, max_length=40, description="Only until then, exclusively.", examples=["2026-12-01"])
    apply: bool = Field(
        default=False, description="Whether to write it; if not, the answer says what would change.", examples=[False]
    )


class MovedTotal(Answer):
    """Requests that become the account's."""

    events: int = Field(description="How many.", examples=[1200])
    unpriced_events: int = Field(description="How many of them have no price in the account.", examples=[0])
    before_nano_usd: int = nano_usd("What they come to while they are unassigned", 1_056_000_000)
    before_usd: str = usd("What they come to while they are unassigned", "1.056000000")
    after_nano_usd: int = nano_usd("What they come to at the account's prices", 1_056_000_000)
    after_usd: str = usd("What they come to at the account's prices", "1.056000000")


class MovedKind(MovedTotal):
    """Requests of one kind that become the account's."""

    provider: str = Field(description="Who served them.", examples=["together"])
    model: str = Field(description="The model.", examples=[_KIND["model"]])
    month: str = Field(description="The month in which they happened.", examples=["2026-11"])
    billed_in: str = Field(description="The month in which the account is billed for them.", examples=["2026-11"])


class RepeatedTotal(Answer):
    """Requests that the account had counted before: they are only taken back."""

    events: int = Field(description="How many.", examples=[0])
    amount_nano_usd: int = nano_usd("What they come to while they are unassigned", 0)
    amount_usd: str = usd("What they come to while they are unassigned", "0.000000000")


class AssignAnswer(Answer):
    """What assigning changes, or changed."""

    applied: bool = Field(description="Whether it was written.", examples=[True])
    moved: list[MovedKind] = Field(
        description="What becomes the account's, by provider, model and months.", examples=[[{**_KIND, **_MOVED}]]
    )
    total: MovedTotal = Field(description="All that becomes the account's.", examples=[_MOVED])
    repeats: RepeatedTotal = Field(
        description="What the account had counted before: it is only taken back.",
        examples=[{"events": 0, "amount_nano_usd": 0, "amount_usd": "0.000000000"}],
    )
    conflicts: int = Field(
        description="How many stay unassigned, because the account has counted other content under their ids.", examples=[0]
    )


@router.get(
    "",
    operation_id="list_unassigned",
    summary="List usage of accounts nobody has declared",
    responses=problems("bound_key", "invalid_cursor"),
)
def get_unassigned(
    principal: Admin, service: ServiceNow, limit: LimitParameter = DEFAULT_PAGE, cursor: CursorParameter = None
) -> UnassignedPage:
    """List the usage of accounts that nobody has declared, by the name that its records gave and their source. Whose it is is
    not known, so the key must be bound to no account."""
    principal.require_unbound()
    after = None
    if cursor is not None:
        name, source = read_cursor(cursor, "unassigned", [str, str])
        after = str(name), str(source)
    rows = list_unassigned(service.engine, after=after, limit=limit + 1)
    more = write_cursor([rows[limit - 1].name, rows[limit - 1].source], "unassigned") if len(rows) > limit else None
    return UnassignedPage(items=[_usage(row) for row in rows[:limit]], next_cursor=more)


@router.post(
    "/assign",
    operation_id="assign_usage",
    summary="Assign usage to an account",
    responses=problems(
        "bound_key", "not_found", "unsupported_media_type", "body_too_large", "not_json", "invalid_time", "naive_time"
    ),
    dependencies=[Depends(require_json)],
)
def post_assignment(principal: Admin, service: ServiceNow, body: AssignOrder) -> AssignAnswer:
    """Show what would change if usage of accounts that nobody had declared became an account's, or, with `apply`, write it, for
    ever: charges are taken back and written anew at the account's prices. The same again changes nothing; what an interruption
    leaves undone, the same request does.
    """
    principal.require_unbound()
    scope = AssignmentScope(
        name=body.name,
        start=None if body.start is None else query.instant("body.start", body.start),
        end=None if body.end is None else query.instant("body.end", body.end),
        source=body.source,
        project=body.project,
        key=body.key,
    )
    if scope.start is not None and scope.end is not None and scope.end <= scope.start:
        detail = "end must be after start"
        raise ApiProblem("invalid_request", detail, errors=[FieldError("body.end", "invalid_request", detail)])
    settings = service.settings.ingest
    if body.apply:
        found = assign_usage(service.engine, body.account, scope, settings, clock=service.clock)
    else:
        found = preview_assignment(service.engine, body.account, scope, settings)
    return _answer(found, applied=body.apply)


def _usage(row: UnassignedUsage) -> UnassignedAnswer:
    return UnassignedAnswer(
        name=row.name,
        source=row.source,
        first_time=format_instant(row.first_time),
        last_time=format_instant(row.last_time),
        events=row.events,
        unpriced_events=row.unpriced,
        amount_nano_usd=row.amount_nano,
        amount_usd=format_nano(row.amount_nano),
    )


def _answer(found: AssignmentResult, *, applied: bool) -> AssignAnswer:
    moved = [
        MovedKind.model_validate(
            {
                "provider": key.provider,
                "model": key.model,
                "month": format_month(key.month),
                "billed_in": format_month(key.billed_in),
                **_amounts(moved),
            }
        )
        for key, moved in sorted(found.by_group.items())
    ]
    repeats = RepeatedTotal(
        events=found.repeats, amount_nano_usd=found.repeats_nano, amount_usd=format_nano(found.repeats_nano)
    )
    total = MovedTotal.model_validate(_amounts(found.total))
    return AssignAnswer(applied=applied, moved=moved, total=total, repeats=repeats, conflicts=found.conflicts)


def _amounts(moved: MovedUsage) -> dict[str, int | str]:
    return {
        "events": moved.events,
        "unpriced_events": moved.unpriced,
        "before_nano_usd": moved.before_nano,
        "before_usd": format_nano(moved.before_nano),
        "after_nano_usd": moved.after_nano,
        "after_usd": format_nano(moved.after_nano),
    }
