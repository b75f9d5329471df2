"""The HTTP API as one ASGI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import cache

from fastapi import APIRouter, Depends, FastAPI
from fastapi.telemetry import TelemetryConfig

import metering
from metering.answers.usage.ingest import IngestAnswer
from metering.api.accounts import accounts, keys, plans
from metering.api.alerts import alerts, webhook_deliveries, webhooks
from metering.api.budgets import budgets
from metering.api.charges import event_explained, rerate, spend
from metering.api.credits import adjustments, credit_ledger, credits
from metering.api.openapi import DescribedApi
from metering.api.prices import (
    model_aliases,
    price_diffs,
    price_explanations,
    price_history,
    price_imports,
    price_syncs,
    prices,
)
from metering.api.reconciliation import hf_billing, invoices, reconciliations
from metering.api.statements import statement_closing, statements
from metering.api.upkeep import health
from metering.api.upkeep import metrics as metrics_route
from metering.api.usage import conflicts, corrections, events, quarantine, unassigned
from metering.api.usage.event_intake import EventsFastPath, Intake
from metering.api.usage.native_event import NativeEvent
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.service.open_service import Service
from metering.runtime.budget_watcher import BudgetWatcher
from metering.runtime.group_writer import GroupWriter
from metering.runtime.metrics import Metrics
from metering.web.api_key_cache import ApiKeyCache
from metering.web.body_limit import BodyLimit
from metering.web.guards import AnswerGuard
from metering.web.head_requests import HeadAsGet
from metering.web.problem_handlers import install_problem_handlers
from metering.web.query import refuse_unknown_parameters
from metering.web.request_metrics import RequestMetrics

# Only batches of events, price sheets and bills are larger.
SMALL_BODY_BYTES = 64 * 1024

# FastAPI would pass validation failures, exceptions and paths to any OpenTelemetry provider of the process; they can contain
# what clients sent.
_NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False)

_DESCRIPTION = (
    "Meter what LLM inference through the Hugging Face router costs. Amounts are whole nano-USD (`*_nano_usd`) and the same"
    " as decimal strings (`*_usd`); times are UTC, periods half-open; errors are `application/problem+json` with a stable"
    " `code`; lists come in pages (`limit`, `cursor`, `next_cursor`). Every answer has an `X-Request-Id`: the request's own, if"
    " it is 1 to 128 letters, digits, dots, underscores and hyphens, else a new one."
)


def create_api(
    service: Service,
    while_serving: Callable[[], AbstractContextManager[None]] = nullcontext,
    metrics: Metrics | None = None,
) -> FastAPI:
    """Return the API over an open service; at shutdown it closes the service's connections.

    ``while_serving`` returns a context manager for background work, entered at startup and left at shutdown. ``metrics`` are
    the counters of the process. Default: new ones.
    """
    metrics = Metrics() if metrics is None else metrics

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        budget_watcher.start()
        with while_serving():
            yield
            intake.close()
            budget_watcher.stop()
        service.engine.dispose()

    app = DescribedApi(
        title="hf-metering",
        version=metering.__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry=_NO_TELEMETRY,
        routes=list(_routes().routes),
    )
    app.described, app.described_structs = (NativeEvent,), (IngestAnswer,)
    budget_watcher = BudgetWatcher(BudgetEvaluator(service.engine, service.catalog, service.clock))
    writer = GroupWriter(service.ingester, service.settings.max_waiting_events, metrics, budget_watcher.wake)
    app.state.service = service
    app.state.metrics = metrics
    app.state.api_keys = ApiKeyCache()
    app.state.intake = intake = Intake(service, writer)
    install_problem_handlers(app)
    _add_middleware(app, service, metrics)
    return app


_RESOURCES = (
    events, event_explained, spend, accounts, unassigned, plans, credits, credit_ledger, budgets,
    prices, price_explanations, price_history, price_diffs, price_imports, price_syncs, model_aliases, rerate,
    alerts, webhooks, webhook_deliveries, statements, statement_closing, adjustments, invoices, reconciliations, hf_billing,
    quarantine, corrections, conflicts, keys, health, metrics_route,
)  # fmt: skip


@cache
def _routes() -> APIRouter:
    """Return the routes of every application of the process, which find the service by the request.

    FastAPI derives the parameters of a route when its first request arrives, which takes longer than most requests; it is done
    once for all applications.
    """
    router = APIRouter(dependencies=[Depends(refuse_unknown_parameters)])
    for resource in _RESOURCES:
        router.include_router(resource.router)
    return router


def _add_middleware(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """Add the middleware of every request; the last one added is the outermost."""
    max_body_bytes = service.settings.max_body_bytes
    large = {
        "/v1/events": max_body_bytes,
        price_imports.PATH: max_body_bytes,
        invoices.PATH: max_body_bytes,
        hf_billing.PATH: hf_billing.MAX_BODY_BYTES,
    }
    app.add_middleware(HeadAsGet)
    app.add_middleware(EventsFastPath, service=service, api_keys=app.state.api_keys, intake=app.state.intake)
    app.add_middleware(BodyLimit, default=SMALL_BODY_BYTES, paths=large)
    app.add_middleware(AnswerGuard)
    app.add_middleware(RequestMetrics, metrics=metrics)
