"""``/v1/prices/aliases``: model names of one's own.

They apply to all accounts, so these routes need a key that is not bound to an account.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from metering.answers.prices.model_aliases import (
    AddedAliasAnswer,
    ModelAliasAnswer,
    ModelAliasPage,
    added_alias_answer,
    model_alias_answer,
)
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.prices.manage_aliases import add_alias, list_aliases, remove_alias
from metering.web import query
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.own_names import OwnName

router = APIRouter(prefix="/v1/prices/aliases", tags=["prices"])

_ALIASES = "aliases"


class NewAlias(RequestModel):
    """A model name of your own."""

    provider: str = Field(
        min_length=1, max_length=MAX_NAME_LENGTH, description="The provider that uses the name.", examples=["fireworks-ai"]
    )
    name: str = Field(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="The name, as records state it. Letter case does not matter.",
        examples=["accounts/acme/models/our-llama"],
    )
    model: str = Field(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="The model to look prices up for.",
        examples=["meta-llama/Llama-3.3-70B-Instruct"],
    )
    valid_from: str | None = Field(
        None, max_length=40, description="RFC 3339, or a date (midnight UTC). Default: always.", examples=["2026-11-01"]
    )
    valid_until: str | None = Field(
        None, max_length=40, description="Exclusive. RFC 3339, or a date (midnight UTC). Default: no end.", examples=[None]
    )


@router.get(
    "",
    operation_id="list_model_aliases",
    summary="List model aliases",
    responses=problems("bound_key", "invalid_cursor"),
)
def get_aliases(
    *,
    principal: Reader,
    service: ServiceNow,
    page: PageNow,
    removed: Annotated[bool, Query(description="Whether to list removed ones, too.", examples=[False])] = False,
) -> ModelAliasPage:
    """List the model names of your own, in the order they were added."""
    principal.require_unbound()
    question = [_ALIASES, removed]
    after = int(page.start(question, [0])[0])
    rows = [alias for alias in list_aliases(service.engine, with_removed=removed) if alias.own_name.id > after]
    return page.of(ModelAliasPage, rows, answer=model_alias_answer, key=lambda alias: [alias.own_name.id], question=question)


@router.post(
    "",
    operation_id="add_model_alias",
    summary="Add a model alias",
    status_code=201,
    dependencies=[Depends(require_json)],
    responses=problems(
        "bound_key", "already_exists", "invalid_alias", "invalid_time", "naive_time", "not_json", "unsupported_media_type",
        "body_too_large",
    ),
)  # fmt: skip
def post_alias(
    *,
    principal: Admin,
    service: ServiceNow,
    body: NewAlias,
    rate: Annotated[bool, Query(description="Whether to charge usage that was unpriced.", examples=[True])] = True,
) -> AddedAliasAnswer:
    """Say that a name at a provider means a model, for requests that start in a period. It comes before everything that price
    lists and bundled names know. Existing charges never change. Adding the same alias again adds nothing.
    """
    principal.require_unbound()
    wanted = OwnName(
        provider=body.provider,
        name=body.name,
        model=body.model,
        valid_from=0 if body.valid_from is None else query.instant("body.valid_from", body.valid_from),
        valid_until=None if body.valid_until is None else query.instant("body.valid_until", body.valid_until),
    )
    return added_alias_answer(add_alias(service.engine, wanted, rate=rate, now=service.clock()))


@router.delete(
    "/{alias_id}",
    operation_id="remove_model_alias",
    summary="Remove a model alias",
    responses=problems("bound_key", "not_found"),
)
def delete_alias(
    principal: Admin,
    service: ServiceNow,
    alias_id: Annotated[int, Path(ge=1, le=2**63 - 1, description="The alias.", examples=[3])],
) -> ModelAliasAnswer:
    """Remove an alias: prices are looked up without it from now on. Existing charges never change.
    It stays listed as removed.
    """
    principal.require_unbound()
    return model_alias_answer(remove_alias(service.engine, alias_id, now=service.clock()).alias)
