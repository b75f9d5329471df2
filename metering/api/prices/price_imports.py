"""``POST /v1/prices/import`` and ``/v1/prices/discounts``: prices of one's own."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from metering.api.fields import AccountParameter, Answer, RequestModel, nano_usd, usd
from metering.api.openapi import problems
from metering.domain.prices.account_discounts import DiscountRequest
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.domain.usage.model_names import provider_name
from metering.operations.prices.discount_prices import discount_prices
from metering.operations.prices.import_prices import PriceSheet, import_prices
from metering.web import query
from metering.web.bodies import check_media_type, read_body, require_json
from metering.web.principal import Admin, ServiceNow
from pricing.discounts import parse_percent
from pricing.dollars import format_nano
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
            CSV: {"schema": {"type": "string", "description": "A price sheet: one price a row."}, "example": _CSV_SHEET},
        },
    }
}


class ImportAnswer(Answer):
    """What an import added."""

    tables_added: list[int] = Field(description="The tables that were new; empty where all was known already.", examples=[[14]])
    discounts_added: list[int] = Field(
        description="The tables in which discounts follow those that were new; empty where there is no discount.", examples=[[]]
    )
    charged: int | None = Field(
        description="How many events that waited for a price were charged; null where that was not asked for.", examples=[3]
    )
    amount_nano_usd: int | None = nano_usd("What they come to", 114)
    amount_usd: str | None = usd("What they come to", "0.000000114")


class NewDiscount(RequestModel):
    """A share off every price of an account."""

    account: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, description="Whose prices.", examples=["acme"])
    percent: str = Field(
        max_length=20,
        description="How much less than others pay, with at most four decimals. `0` ends an earlier discount.",
        examples=["12.5"],
    )
    effective_from: str = Field(
        max_length=40, description="From when on: RFC 3339, or a date (midnight UTC).", examples=["2026-12-01"]
    )
    provider: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only on this provider's prices.", examples=["together"]
    )
    model: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="Only on this model's.",
        examples=["meta-llama/Llama-3.3-70B-Instruct"],
    )


class KeptPrice(Answer):
    """A model that keeps a price of the account's own."""

    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["acme/own-model"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])


class DiscountAnswer(Answer):
    """What a discount consists of."""

    tables_added: list[int] = Field(description="The tables that were new; empty where all was known already.", examples=[[15]])
    prices: int = Field(description="How many prices are in it, at all instants and on all routes.", examples=[1])
    rounded: int = Field(description="How many of them were no whole pico-USD (1e-12) and were rounded half up.", examples=[0])
    kept: list[KeptPrice] = Field(description="What keeps a price of the account's own.", examples=[[]])


async def sheet_body(request: Request) -> PriceSheet:
    """Read a price sheet. A dependency, so that a body that can not be read costs no thread."""
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
            description="The name of the price list, for a CSV sheet; a YAML sheet says it itself. Left out: `body`.",
            examples=["our contract"],
        ),
    ] = None,
    rate: Annotated[bool, Query(description="Whether usage that waited for a price is charged.", examples=[True])] = True,
) -> ImportAnswer:
    """Record the prices of a sheet: the operator's, which come before the bundled ones, or those of `account` alone, which come
    before all others. All of it or nothing; an error names the entry. A sheet that is known adds nothing.

    Usage that waited for a price is charged at the one that was valid when it happened, the account's or everybody's. What is
    charged already never changes. The body may be gzip.
    """
    row = principal.account_or_all(service, account)
    imported = import_prices(
        service.engine,
        msgspec.structs.replace(sheet, source=source or ""),
        account=None if row is None else row.name,
        rate=rate,
        now=service.clock(),
    )
    return ImportAnswer(
        tables_added=imported.table_ids,
        discounts_added=imported.discount_ids,
        charged=imported.charged_events,
        amount_nano_usd=imported.charged_nano,
        amount_usd=None if imported.charged_nano is None else format_nano(imported.charged_nano),
    )


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
def post_discount(*, principal: Admin, service: ServiceNow, asked: NewDiscount) -> DiscountAnswer:
    """Record what everybody pays, less a share, as prices of the account's own. Prices that change later are discounted from
    then on too, those that are known and those that are recorded afterwards. Where two discounts overlap, the one recorded last
    counts. Made again with nothing new, it adds nothing. Prices that the account has from a sheet of its own come first. What
    is charged already never changes.
    """
    row = principal.find_account(service, asked.account)
    wanted = DiscountRequest(
        row.name,
        parse_percent(asked.percent),
        query.instant("body.effective_from", asked.effective_from),
        None if asked.provider is None else provider_name(asked.provider),
        asked.model,
    )
    recorded = discount_prices(service.engine, wanted, now=service.clock())
    return DiscountAnswer(
        tables_added=recorded.table_ids,
        prices=recorded.expanded.prices,
        rounded=recorded.expanded.rounded,
        kept=[
            KeptPrice(provider=provider, model=model, operation=operation)
            for provider, model, operation in recorded.expanded.kept
        ],
    )
