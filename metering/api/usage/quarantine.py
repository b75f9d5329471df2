"""``/v1/quarantine``: records that could not become events."""

from fastapi import APIRouter

from metering.answers.usage.quarantine import QuarantinePage, quarantined_record_answer
from metering.api.openapi import problems
from metering.operations.usage.list_quarantine import list_quarantine
from metering.web.pages import PageNow
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

_LIST = "quarantine"


@router.get("", operation_id="list_quarantine", summary="List quarantine", responses=problems("bound_key", "invalid_cursor"))
def get_quarantine(principal: Reader, service: ServiceNow, page: PageNow) -> QuarantinePage:
    """List the records in quarantine, oldest first. Their account is not always known, so the key must not be bound to one."""
    principal.require_unbound()
    after = int(page.start(_LIST, [0])[0])
    records, count = list_quarantine(service.engine, after=after, limit=page.rows)
    return page.of(
        QuarantinePage, records, quarantined_record_answer, key=lambda record: [record.id], question=_LIST, open=count
    )
