"""``/metrics``: what the service counts about itself, for Prometheus.

It tells how much everybody sends together, so that by default it takes a key that is made for it (scope ``metrics``, bound to
no account); ``METERING_METRICS_ACCESS=open`` is for a network that only the operator reaches.
"""

import platform
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Security
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError

import metering
from metering.api.openapi import problems
from metering.domain.accounts.api_keys import METRICS
from metering.operations.service.open_service import Service
from metering.operations.upkeep.observe_service import Observation, observe_service
from metering.runtime.metrics import Metrics
from metering.storage.engine.backend import backend_of
from metering.web.principal import BEARER, ServiceNow, principal_of

router = APIRouter(tags=["health"])

MICROS_PER_SECOND = 1_000_000
_TEXT = "text/plain"
_EXAMPLE = 'metering_events_total{outcome="accepted"} 1200.0\n'
_CONTENT = {_TEXT: {"schema": {"type": "string"}, "example": _EXAMPLE}}


async def current_metrics(request: Request) -> Metrics:
    """Return what the process counts."""
    metrics: Metrics = request.app.state.metrics
    return metrics


def check_scraper(service: ServiceNow, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]) -> None:
    """Refuse who may not read metrics. Raises ApiProblem."""
    if not service.settings.open_metrics:
        token = None if credentials is None else credentials.credentials
        principal_of(service, token, [METRICS]).require_unbound()


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": _CONTENT}, **problems("bound_key")},
    dependencies=[Security(check_scraper, scopes=[METRICS])],
)
def get_metrics(request: Request, service: ServiceNow, metrics: Annotated[Metrics, Depends(current_metrics)]) -> Response:
    """Answer with what the server's workers counted since they started, and with what the database says now, in Prometheus'
    text format or in OpenMetrics, as the scraper accepts. A database that does not answer is told as `metering_database_up 0`.
    """
    body, media = metrics.exposed(request.headers.get("accept", ""), _asked_now(service))
    return Response(body, media_type=media)


def _asked_now(service: Service) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "metering_build_info", "Which release runs, on which database", labels=("version", "python", "database")
    )
    build.add_metric((metering.__version__, platform.python_version(), backend_of(service.engine).name), 1)
    yield build
    try:
        observation = observe_service(service.engine)
    except SQLAlchemyError:
        yield GaugeMetricFamily("metering_database_up", "Whether the database answers", value=0)
        return
    yield GaugeMetricFamily("metering_database_up", "Whether the database answers", value=1)
    yield from _observed(observation)


def _observed(observation: Observation) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "metering_unpriced_events", "Events for which no price is known by now", value=observation.unpriced_events
    )
    router_health = observation.router
    yield GaugeMetricFamily(
        "metering_price_sync_consecutive_failures",
        "How often fetching the router's prices failed since it last worked",
        value=router_health.consecutive_failures,
    )
    yield GaugeMetricFamily(
        "metering_price_sync_held",
        "1 while an answer of the router waits to be accepted",
        value=int(router_health.waiting is not None),
    )
    if router_health.last_success_at is not None:
        yield GaugeMetricFamily(
            "metering_price_sync_last_success_timestamp_seconds",
            "When the router's prices were last fetched",
            value=router_health.last_success_at / MICROS_PER_SECOND,
        )
