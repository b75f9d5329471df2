"""The HTTP API as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig

import metering
from metering.api import (
    accounts,
    credits,  # noqa: A004
    event_explained,
    events,
    health,
    keys,
    plans,
    prices,
    quarantine,
    rerate,
    spend,
    statements,
)
from metering.api.event_models import NativeEvent
from metering.api.openapi import DescribedApi
from metering.operations.open_service import Service
from metering.web.body_limit import BodyLimit
from metering.web.guards import AnswerGuard
from metering.web.problem_handlers import install_problem_handlers
from metering.web.query import refuse_unknown_parameters

# No document of this API but a batch of events comes near this.
SMALL_BODY_BYTES = 64 * 1024

# FastAPI would hand validation failures, exceptions and paths to whatever OpenTelemetry provider the process has; they can
# hold what somebody sent.
_NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False)

_DESCRIPTION = (
    "Meter what LLM inference through the Hugging Face router costs. Amounts are whole nano-USD (`*_nano_usd`) and the same"
    " as decimal strings (`*_usd`); times are UTC, periods half-open; errors are `application/problem+json` with a stable"
    " `code`; lists come in pages (`limit`, `cursor`, `next_cursor`)."
)


def create_api(service: Service) -> FastAPI:
    """Return the API over an open service; at shutdown it closes the service's connections."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
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
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    app.described = (NativeEvent,)
    app.state.service = service
    resources = (
        events, event_explained, spend, accounts, plans, credits, prices, rerate, statements, quarantine, keys, health,
    )  # fmt: skip
    for resource in resources:
        app.include_router(resource.router)
    install_problem_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, default=SMALL_BODY_BYTES, paths={"/v1/events": service.settings.max_body_bytes})
    app.add_middleware(AnswerGuard)
    return app
