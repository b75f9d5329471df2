"""Composition of the service: ``uvicorn metering.asgi:create_app --factory``.

The environment (with ``.env`` in the working directory, which it overrides), the clock and the client are made here and
nowhere else, and here is said what runs beside the requests.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from dotenv import dotenv_values
from fastapi import FastAPI
from sqlalchemy import Engine

from metering.api.app import create_api
from metering.operations.close_month import Closing
from metering.operations.fetch_invoice import BillSource
from metering.operations.judge_credits import Judging
from metering.operations.open_service import Service, open_service
from metering.operations.settings import SettingsError, read_settings
from metering.operations.sync_prices import Source
from metering.outbound.fetch import FetchLimits, Pace, open_fetch
from metering.runtime.bill_fetch_job import BillFetchJob
from metering.runtime.close_job import close_when_due
from metering.runtime.credits_job import judge_credits_each_tick
from metering.runtime.leader import Leader
from metering.runtime.price_sync_job import sync_when_due
from metering.runtime.scheduler import Job, Scheduler, StoppingError
from metering.runtime.server_leader import ServerLeader
from metering.storage.database import file_of


def create_app() -> FastAPI:
    """Open the service as the environment says and return the application; a database that does not exist is made.

    Raises SettingsError, DatabaseUrlError, SchemaOutOfDateError.
    """
    stated = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    environment = {**stated, **os.environ}
    settings = read_settings(environment)
    stopping = threading.Event()
    closing = ExitStack()
    pace = Pace(partial(_pause, stopping), time.monotonic)
    fetch = closing.enter_context(open_fetch(FetchLimits(), pace))
    service = open_service(settings, _now, create=True, fetch=fetch)
    bills = []
    if settings.reconcile.fetch_account:
        token = environment.get("HF_TOKEN", "")
        if not token:
            raise SettingsError(
                "METERING_FETCH_ACCOUNT needs HF_TOKEN: Hugging Face tells nobody without a token what it bills"
            )
        ask = closing.enter_context(open_fetch(FetchLimits(), pace, token))
        source = BillSource(ask, settings.reconcile.billing_url)
        job = BillFetchJob(service.engine, source, settings.reconcile, service.catalogue, service.clock)
        bills = [Job("fetch the bill", job)]
    return create_api(service, partial(_beside_requests, service, stopping, closing, bills))


@contextmanager
def _beside_requests(
    service: Service, stopping: threading.Event, closing: ExitStack, bills: Sequence[Job] = ()
) -> Iterator[None]:
    """Run the jobs until the server ends; what they wait for then is left undone."""
    scheduler = Scheduler([*_jobs(service), *bills], _leader(service.engine))
    scheduler.start()
    with closing:
        try:
            yield
        finally:
            stopping.set()
            scheduler.stop()


def _leader(engine: Engine) -> Leader | ServerLeader:
    file = file_of(engine.url)
    return ServerLeader(engine) if file is None else Leader(file)


def _jobs(service: Service) -> list[Job]:
    jobs = []
    sync, close = service.settings.sync, service.settings.close
    if sync.interval_minutes:
        source = Source(service.fetch, sync, service.clock)
        jobs.append(Job("price sync", partial(sync_when_due, service.engine, source)))
    if close.automatic:
        how = Closing(service.catalogue)
        jobs.append(Job("close months", lambda: close_when_due(service.engine, how, close, service.clock())))
    judging = Judging(service.catalogue, service.settings.credits_low_percent)
    jobs.append(Job("judge credits", lambda: judge_credits_each_tick(service.engine, judging, service.clock())))
    return jobs


def _pause(stopping: threading.Event, seconds: float) -> None:
    if stopping.wait(seconds):
        raise StoppingError


def _now() -> int:
    return time.time_ns() // 1_000
