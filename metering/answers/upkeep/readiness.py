"""Answers about whether the service runs, and the schema it runs on."""

from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer

_REVISION = "Revision of the database's schema."


class HealthAnswer(Answer):
    """The process answers."""

    status: Literal["ok"] = Field(description="Always `ok`; a process that is not does not answer.", examples=["ok"])


class ReadinessAnswer(Answer):
    """The service can serve requests."""

    status: Literal["ready"] = Field(description="Always `ready`; otherwise the answer is a problem.", examples=["ready"])
    revision: str = Field(description=_REVISION, examples=["0001"])


class UpgradeAnswer(Answer):
    """A database at this release's schema."""

    revision: str = Field(description=_REVISION, examples=["0018"])
    price_tables_added: int = Field(description="Number of bundled price tables that were new.", examples=[0])
