"""``/metrics``: what the service counts about itself, for Prometheus.

It reveals how much all accounts send together, so by default it needs a key with the scope ``metrics`` that is not bound to an
account. ``METERING_METRICS_ACCESS=open`` is for a network that only the operator can reach.
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
    """Return the counters of the process."""
    metrics: Metrics = request.app.state.metrics
    return metrics


def check_scraper(service: ServiceNow, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]) -> None:
    """Refuse a key that may not read metrics. Raises ApiProblem."""
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
    """Return the counts of the server's workers since they started, and the database's state now, in Prometheus' text format or
    in OpenMetrics, whichever the scraper accepts. If the database does not respond, `metering_database_up` is 0.
    """
    body, media = metrics.exposed(request.headers.get("accept", ""), _state_now(service))
    return Response(body, media_type=media)


def _state_now(service: Service) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "metering_build_info", "Release, Python version and kind of database", labels=("version", "python", "database")
    )
    build.add_metric((metering.__version__, platform.python_version(), backend_of(service.engine).name), 1)
    yield build
    try:
        observation = observe_service(service.engine)
    except SQLAlchemyError:
        yield GaugeMetricFamily("metering_database_up", "Whether the database responds", value=0)
        return
    yield GaugeMetricFamily("metering_database_up", "Whether the database responds", value=1)
    yield from _observed(observation)


def _observed(observation: Observation) -> Iterator[Metric]:
    yield GaugeMetricFamily("metering_unpriced_events", "Events without a price", value=observation.unpriced_events)
    router_health = observation.router
    yield GaugeMetricFamily(
        "metering_price_sync_consecutive_failures",
        "Consecutive failures to fetch the router's prices",
        value=router_health.consecutive_failures,
    )
    yield GaugeMetricFamily(
        "metering_price_sync_held",
        "1 while a price sync is pending",
        value=int(router_health.waiting is not None),
    )
    if router_health.last_success_at is not None:
        yield GaugeMetricFamily(
            "metering_price_sync_last_success_timestamp_seconds",
            "Time of the last successful fetch of the router's prices",
            value=router_health.last_success_at / MICROS_PER_SECOND,
        )
