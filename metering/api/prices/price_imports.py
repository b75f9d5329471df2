"""``POST /v1/prices/import`` and ``/v1/prices/discounts``: your own prices."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from metering.answers.prices.price_imports import DiscountAnswer, PriceImportAnswer, discount_answer, price_import_answer
from metering.api.fields import AccountParameter, RequestModel
from metering.api.openapi import problems
from metering.domain.prices.account_discounts import DiscountRequest
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.prices.discount_prices import discount_prices
from metering.operations.prices.import_prices import PriceSheet, import_prices
from metering.web import query
from metering.web.bodies import check_media_type, read_body, require_json
from metering.web.principal import Admin, ServiceNow
from pricing.discounts import parse_percent
from pricing.sources.plain_yaml import MAX_BYTES

router = APIRouter(prefix="/v1/prices", tags=["prices"])

PATH = "/v1/prices/import"
YAML = ("application/yaml", "application/x-yaml", "text/yaml")
CSV = "text/csv"

_SHEET = """\
source: our contract
route: any
currency: USD
provider: together
models:
  - model: acme/own-model
    versions:
      - from: 2026-12-01
        usd_per_million: {input_tokens: 0.0375, output_tokens: 2}
        source: the contract of 2026
"""
_CSV_SHEET = """\
provider,model,quantity,usd,per,effective_from\r
together,acme/own-model,input_tokens,0.0375,million,2026-12-01\r
together,acme/own-model,output_tokens,2,million,2026-12-01\r
"""
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            YAML[0]: {"schema": {"type": "string", "description": "A price sheet: plain YAML."}, "example": _SHEET},
            CSV: {"schema": {"type": "string", "description": "A price sheet: one price per row."}, "example": _CSV_SHEET},
        },
    }
}


class NewDiscount(RequestModel):
    """A discount on an account's prices."""

    account: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, description="The account.", examples=["acme"])
    percent: str = Field(
        max_length=20,
        description="The discount in percent, with at most four decimals. `0` ends an earlier discount.",
        examples=["12.5"],
    )
    effective_from: str = Field(
        max_length=40, description="When it takes effect: RFC 3339, or a date (midnight UTC).", examples=["2026-12-01"]
    )
    provider: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Limit it to this provider.", examples=["together"]
    )
    model: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="Limit it to this model.",
        examples=["meta-llama/Llama-3.3-70B-Instruct"],
    )


async def sheet_body(request: Request) -> PriceSheet:
    """Read a price sheet. As a dependency, so that an unreadable body does not occupy a thread."""
    media = check_media_type(request, *YAML, CSV)
    return PriceSheet(await read_body(request, MAX_BYTES), "body", "csv" if media == CSV else "yaml")


@router.post(
    "/import",
    operation_id="import_prices",
    summary="Import a price sheet",
    responses=problems(
        "not_found", "invalid_price", "invalid_encoding", "malformed_request", "unsupported_media_type", "body_too_large"
    ),
    openapi_extra=_BODY,
)
def post_import(
    *,
    principal: Admin,
    service: ServiceNow,
    sheet: Annotated[PriceSheet, Depends(sheet_body)],
    account: AccountParameter = None,
    source: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_NAME_LENGTH,
            description="The name of the price list, for a CSV sheet; a YAML sheet contains it. Default: `body`.",
            examples=["our contract"],
        ),
    ] = None,
    rate: Annotated[bool, Query(description="Whether to charge usage that was unpriced.", examples=[True])] = True,
) -> PriceImportAnswer:
    """Record the prices of a sheet: the operator's, which take precedence over the bundled ones, or those of `account` only,
    which take precedence over all others. All or nothing; an error names the entry. Importing a sheet again adds nothing.

    Usage that was unpriced is charged at the price that was in force when it happened. Existing charges never change. The
    body may be gzip.
    """
    row = principal.account_or_all(service, account)
    name = None if row is None else row.name
    imported = import_prices(
        service.engine,
        msgspec.structs.replace(sheet, source=source or ""),
        account=name,
        rate=rate,
        now=service.clock(),
    )
    return price_import_answer(imported, file=None, account=name)


@router.post(
    "/discounts",
    operation_id="discount_prices",
    summary="Give an account a discount",
    dependencies=[Depends(require_json)],
    responses=problems(
        "not_found", "not_json", "invalid_discount", "invalid_time", "naive_time",
        "unsupported_media_type",
        "body_too_large",
    ),
)  # fmt: skip
def post_discount(*, principal: Admin, service: ServiceNow, body: NewDiscount) -> DiscountAnswer:
    """Discount an account's prices by a percentage of the list prices. Base prices that change later are
    followed. If two discounts overlap, the one recorded last applies. Repeating a request adds nothing. Prices from the
    account's own sheets take precedence. Existing charges never change.
    """
    row = principal.find_account(service, body.account)
    wanted = DiscountRequest(
        row.name,
        parse_percent(body.percent),
        query.instant("body.effective_from", body.effective_from),
        body.provider,
        body.model,
    )
    return discount_answer(discount_prices(service.engine, wanted, now=service.clock()))
