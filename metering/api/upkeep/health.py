"""``/healthz`` and ``/readyz``: probes for load balancers and supervisors; no key is needed."""

from fastapi import APIRouter

from metering.answers.upkeep.readiness import HealthAnswer, ReadinessAnswer
from metering.api.openapi import problems
from metering.operations.upkeep.check_ready import check_ready
from metering.web.principal import ServiceNow

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="health", summary="Liveness", responses=problems(key=False))
async def health() -> HealthAnswer:
    """Answer 200 as long as the process runs; nothing else is checked."""
    return HealthAnswer(status="ok")


@router.get("/readyz", operation_id="readiness", summary="Readiness", responses=problems("schema_out_of_date", key=False))
def readiness(service: ServiceNow) -> ReadinessAnswer:
    """Answer 200 if the database can be reached and has this release's schema, otherwise 503."""
    return ReadinessAnswer(status="ready", revision=check_ready(service.engine))
