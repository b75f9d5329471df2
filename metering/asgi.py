"""Composition of the service: ``uvicorn metering.asgi:create_app --factory``.

The environment (with ``.env`` in the working directory, which it overrides), the clock and the client are made here and
nowhere else, and here is said what runs beside the requests.
"""

import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from dotenv import dotenv_values
from fastapi import FastAPI
from sqlalchemy import Engine

from metering.api.app import create_api
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.evaluate_hours import evaluate_hours
from metering.operations.credits.evaluate_credits import CreditAlertPolicy
from metering.operations.prices.sync_prices import RouterSource
from metering.operations.reconciliation.fetch_invoice import BillSource
from metering.operations.service.logs import configure_logging
from metering.operations.service.open_service import Service, open_service
from metering.operations.service.settings import SettingsError, read_settings
from metering.operations.statements.close_month import CloseOptions
from metering.operations.steps.end_with_parent import end_with_parent
from metering.outbound.fetch import Clock, FetchLimits, open_fetch
from metering.runtime.bill_fetch_job import BillFetchJob
from metering.runtime.close_job import close_when_due
from metering.runtime.credits_job import CreditsJob
from metering.runtime.dispatcher import Dispatcher
from metering.runtime.leader import Leader
from metering.runtime.metrics import Metrics
from metering.runtime.price_sync_job import sync_when_due
from metering.runtime.scheduler import Job, Scheduler, StoppingError
from metering.runtime.server_leader import ServerLeader
from metering.runtime.shared_metrics import shared_folder
from metering.storage.engine.database import file_of


def create_app() -> FastAPI:
    """Open the service as the environment says and return the application; a database that does not exist is made.

    Raises SettingsError, DatabaseUrlError, SchemaOutOfDateError.
    """
    stated = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    environment = {**stated, **os.environ}
    settings = read_settings(environment)
    configure_logging(settings.logs, logging.INFO)
    stopping = threading.Event()
    closing = ExitStack()
    pace = Clock(partial(_pause, stopping), time.monotonic)
    fetch = closing.enter_context(open_fetch(FetchLimits(), pace))
    service = open_service(settings, _now, create=True, fetch=fetch)
    metrics = Metrics(shared_folder(os.environ))
    jobs = [*_jobs(service), *_fetching_bills(service, environment.get("HF_TOKEN", ""), pace, closing)]
    scheduler = Scheduler(jobs, _leader(service.engine), metrics)
    return create_api(service, partial(_beside_requests, service, scheduler, stopping, closing), metrics)


@contextmanager
def _beside_requests(service: Service, scheduler: Scheduler, stopping: threading.Event, closing: ExitStack) -> Iterator[None]:
    """Run the jobs and send webhooks until the server ends; what they wait for then is left undone."""
    end_with_parent()
    dispatcher = Dispatcher(service.engine, service.settings.webhooks, service.clock)
    scheduler.start()
    dispatcher.start()
    _keep_what_is_there()
    with closing:
        try:
            yield
        finally:
            stopping.set()
            dispatcher.stop()
            scheduler.stop()


def _keep_what_is_there() -> None:
    """Have the cycle collector pass over what lives as long as the process: modules, routes, models, statements.

    Each of its full rounds would walk through all of that and hold every request for 70 ms, six times in 20,000 events.
    """
    gc.collect()
    gc.freeze()


def _leader(engine: Engine) -> Leader | ServerLeader:
    file = file_of(engine.url)
    return ServerLeader(engine) if file is None else Leader(file)


def _jobs(service: Service) -> list[Job]:
    judge = BudgetEvaluator(service.engine, service.catalogue, service.clock)
    jobs = [Job("budgets", judge.evaluate_all), Job("unusual hours", partial(evaluate_hours, service.engine, service.clock))]
    sync, close = service.settings.sync, service.settings.close
    if sync.interval_minutes:
        source = RouterSource(service.fetch, sync, service.clock)
        jobs.append(Job("price sync", partial(sync_when_due, service.engine, source)))
    if close.automatic:
        how = CloseOptions(service.catalogue)
        jobs.append(Job("close months", lambda: close_when_due(service.engine, how, close, service.clock())))
    judging = CreditAlertPolicy(service.catalogue, service.settings.credits_low_percent)
    jobs.append(Job("judge credits", CreditsJob(service.engine, judging, service.clock)))
    return jobs


def _fetching_bills(service: Service, token: str, pace: Clock, closing: ExitStack) -> list[Job]:
    """Return the job that asks Hugging Face what it bills, if that was asked for; its client ends with ``closing``."""
    settings = service.settings.reconcile
    if not settings.fetch_account:
        return []
    if not token:
        raise SettingsError("METERING_FETCH_ACCOUNT needs HF_TOKEN: Hugging Face tells nobody without a token what it bills")
    source = BillSource(closing.enter_context(open_fetch(FetchLimits(), pace, token)), settings.billing_url)
    return [Job("fetch the bill", BillFetchJob(service.engine, source, settings, service.catalogue, service.clock))]


def _pause(stopping: threading.Event, seconds: float) -> None:
    if stopping.wait(seconds):
        raise StoppingError


def _now() -> int:
    return time.time_ns() // 1_000
