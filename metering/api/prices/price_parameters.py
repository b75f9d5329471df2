"""Query parameters that routes about prices share."""

from typing import Annotated

from fastapi import Query

from metering.domain.usage.events import MAX_NAME_LENGTH

KnownAtParameter = Annotated[
    str | None,
    Query(
        max_length=40,
        description="Leave out prices that were recorded after this instant: RFC 3339, or a date (midnight UTC). Default: leave"
        " out none. A price can be recorded after it took effect.",
        examples=["2026-11-03T00:00:00Z"],
    ),
]
ProviderParameter = Annotated[
    str | None,
    Query(max_length=MAX_NAME_LENGTH, description="Only prices of this provider.", examples=["together"]),
]
SourceParameter = Annotated[
    str | None,
    Query(max_length=MAX_NAME_LENGTH, description="Only prices of this price list.", examples=["hf_router"]),
]
