"""Composition of the service: ``uvicorn metering.asgi:create_app --factory``.

Only here are the environment (which overrides ``.env`` in the working directory), the clock and the HTTP clients read or
created, and the background work chosen.
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
from metering.operations.service.setting_row import SettingsError
from metering.operations.service.settings import read_settings
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
    """Open the service with the settings of the environment and return the application; an empty database is created.

    Raises SettingsError, DatabaseUrlError, SchemaOutOfDateError.
    """
    from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    environment = {**from_file, **os.environ}
    settings = read_settings(environment)
    configure_logging(settings.logs, logging.INFO)
    stopping = threading.Event()
    closing = ExitStack()
    clock = Clock(partial(_pause, stopping), time.monotonic)
    fetch = closing.enter_context(open_fetch(FetchLimits(), clock))
    service = open_service(settings, _now, create=True, fetch=fetch)
    metrics = Metrics(shared_folder(os.environ))
    jobs = [*_jobs(service), *_bill_jobs(service, environment.get("HF_TOKEN", ""), clock, closing)]
    scheduler = Scheduler(jobs, _leader(service.engine), metrics)
    return create_api(service, partial(_background_work, service, scheduler, stopping, closing), metrics)


@contextmanager
def _background_work(service: Service, scheduler: Scheduler, stopping: threading.Event, closing: ExitStack) -> Iterator[None]:
    """Run the jobs and send webhooks until the server ends; a job that is waiting then is left unfinished."""
    end_with_parent()
    dispatcher = Dispatcher(service.engine, service.settings.webhooks, service.clock)
    scheduler.start()
    dispatcher.start()
    _freeze_objects()
    with closing:
        try:
            yield
        finally:
            stopping.set()
            dispatcher.stop()
            scheduler.stop()


def _freeze_objects() -> None:
    """Let the cycle collector skip objects that live as long as the process: modules, routes, models, statements.

    Each full collection would visit all of them and block every request for 70 ms, six times in 20,000 events.
    """
    gc.collect()
    gc.freeze()


def _leader(engine: Engine) -> Leader | ServerLeader:
    file = file_of(engine.url)
    return ServerLeader(engine) if file is None else Leader(file)


def _jobs(service: Service) -> list[Job]:
    evaluator = BudgetEvaluator(service.engine, service.catalog, service.clock)
    jobs = [
        Job("budgets", evaluator.evaluate_all),
        Job("unusual hours", partial(evaluate_hours, service.engine, service.clock)),
    ]
    sync, close = service.settings.sync, service.settings.close
    if sync.interval_minutes:
        source = RouterSource(service.fetch, sync, service.clock)
        jobs.append(Job("price sync", partial(sync_when_due, service.engine, source)))
    if close.automatic:
        options = CloseOptions(service.catalog)
        jobs.append(Job("close months", lambda: close_when_due(service.engine, options, close, service.clock())))
    credit_alerts = CreditAlertPolicy(service.catalog, service.settings.credits_low_percent)
    jobs.append(Job("judge credits", CreditsJob(service.engine, credit_alerts, service.clock)))
    return jobs


def _bill_jobs(service: Service, token: str, clock: Clock, closing: ExitStack) -> list[Job]:
    """Return the job that fetches the bill from Hugging Face, if it is turned on; its client is closed with ``closing``."""
    settings = service.settings.reconcile
    if not settings.fetch_account:
        return []
    if not token:
        raise SettingsError("METERING_FETCH_ACCOUNT needs HF_TOKEN: Hugging Face returns bills only with a token")
    source = BillSource(closing.enter_context(open_fetch(FetchLimits(), clock, token)), settings.billing_url)
    return [Job("fetch the bill", BillFetchJob(service.engine, source, settings, service.catalog, service.clock))]


def _pause(stopping: threading.Event, seconds: float) -> None:
    if stopping.wait(seconds):
        raise StoppingError


def _now() -> int:
    return time.time_ns() // 1_000
