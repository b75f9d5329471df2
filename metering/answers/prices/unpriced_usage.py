"""Answers about usage that is not priced yet."""

from collections.abc import Sequence

from pydantic import Field

from metering.answers.fields import Page, PossibleCostFields, instant_field, possible_amounts
from metering.domain.charges.unpriced_usage import UnpricedUsage
from metering.domain.instants import format_instant


class UnpricedUsageAnswer(PossibleCostFields):
    """Unpriced usage of one provider, model and route for one reason."""

    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["acme/own-model"])
    route: str = Field(description="The billing route.", examples=["routed"])
    missing: str = Field(
        description="Why it is not priced: `no provider`, `no route`, `no rate`, `quantities unstated`, `price missing for"
        " <kinds>`, `charge too large`, or `not rated yet` if a price is known now.",
        examples=["no rate"],
    )
    remedy: str = Field(
        description="The command that gives this usage its charge; empty: there is none.",
        examples=["metering prices import SHEET"],
    )
    events: int = Field(description="Number of events.", examples=[3])
    tokens: int = Field(description="Number of tokens.", examples=[1_200])
    first_time: str = instant_field("Time of the first event")
    last_time: str = instant_field("Time of the last event")


class UnpricedUsagePage(Page):
    """Usage that is not priced yet."""

    account: str | None = Field(description="The account; null: all.", examples=["acme"])
    items: list[UnpricedUsageAnswer] = Field(description="By provider, model, route and reason.", examples=[[]])


def unpriced_usage_page(account: str | None, usage: Sequence[UnpricedUsage]) -> UnpricedUsagePage:
    """Return all unpriced usage as one page."""
    items = [
        UnpricedUsageAnswer(
            provider=each.provider,
            model=each.model,
            route=each.route,
            missing=each.why,
            remedy=each.remedy,
            **possible_amounts(each.possible),
            events=each.events,
            tokens=each.tokens,
            first_time=format_instant(each.first_time),
            last_time=format_instant(each.last_time),
        )
        for each in usage
    ]
    return UnpricedUsagePage(account=account, items=items, next_cursor=None)
