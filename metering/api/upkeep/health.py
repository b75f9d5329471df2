"""``/healthz`` and ``/readyz``: for load balancers and supervisors; no key is needed."""

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from metering.api.fields import Answer
from metering.api.openapi import problems
from metering.operations.upkeep.check_ready import check_ready
from metering.web.principal import ServiceNow

router = APIRouter(tags=["health"])


class Health(Answer):
    """The process answers."""

    status: Literal["ok"] = Field(description="Always `ok`; a process that is not does not answer.", examples=["ok"])


class Readiness(Answer):
    """The service can serve."""

    status: Literal["ready"] = Field(description="Always `ready`; else the answer is a problem.", examples=["ready"])
    revision: str = Field(description="The revision of the database's schema.", examples=["0001"])


@router.get("/healthz", operation_id="health", summary="Liveness", responses=problems(key=False))
async def health() -> Health:
    """Answer as long as the process lives; nothing else is asked."""
    return Health(status="ok")


@router.get("/readyz", operation_id="readiness", summary="Readiness", responses=problems("schema_out_of_date", key=False))
def readiness(service: ServiceNow) -> Readiness:
    """Answer 200 when the database can be reached and has this release's schema, else 503."""
    return Readiness(status="ready", revision=check_ready(service.engine))
