"""Request bodies and parameters that many resources share."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

from metering.domain.texts import control_character
from metering.domain.usage.events import MAX_NAME_LENGTH

# Up to ten million dollars, to the nano-dollar: a thousand of them still sum within 64 bits.
USD_PATTERN = r"^[0-9]{1,7}(\.[0-9]{1,9})?$"
SIGNED_USD_PATTERN = r"^-?[0-9]{1,7}(\.[0-9]{1,9})?$"


class Body(BaseModel):
    """A request body: types are not converted, and unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class RequestModel(Body):
    """A request body in which every text is a single line: a control character in any text is refused."""

    @field_validator("*", mode="before")
    @classmethod
    def no_control_characters(cls, value: object) -> object:
        """Refuse a control character in a text, also within a list or a mapping."""
        for text in _texts(value):
            if found := control_character(text):
                raise PydanticCustomError(
                    "control_character",
                    "The text contains the control character {character}; send a single line of text without any",
                    {"character": found},
                )
        return value


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in (*value, *value.values()):
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


AccountParameter = Annotated[
    str | None,
    Query(
        max_length=MAX_NAME_LENGTH,
        description="The account. Default for a key that is bound to an account: that account, the only one it can access.",
        examples=["acme"],
    ),
]
StartParameter = Annotated[
    str | None,
    Query(
        max_length=40,
        description="Start of the period: RFC 3339, or a date (midnight UTC). Default: start of the current UTC month.",
        examples=["2026-11-01T00:00:00Z"],
    ),
]
EndParameter = Annotated[
    str | None,
    Query(
        max_length=40,
        description="End of the period, exclusive. Default: end of the current UTC month.",
        examples=["2026-12-01"],
    ),
]
MonthParameter = Annotated[
    str | None,
    Query(max_length=10, description="The UTC month. Default: the current one.", examples=["2026-11"]),
]
