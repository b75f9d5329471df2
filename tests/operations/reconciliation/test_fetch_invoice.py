"""Hugging Face is asked over real HTTP on loopback, with the token, and its answer is imported unchanged."""

import json
import logging
import time
from typing import Any

import pytest

from metering.domain.errors import DomainError
from metering.operations.reconciliation.fetch_invoice import SESSIONS, BillRequest, BillSource, fetch_invoice
from metering.operations.reconciliation.reconcile_settings import ReconcileSettings
from metering.operations.reconciliation.show_invoices import list_invoices
from metering.outbound.fetch import Clock, FetchLimits, open_fetch
from metering.outbound.fetch_results import FetchError
from metering.runtime.bill_fetch_job import BillFetchJob
from pricing.bundled import bundled_plans
from support.bills import AFTER
from support.builders import HOUR, usage_event
from support.loopback_source import answer, source

TOKEN = "hf_secret-token"
LIMITS = FetchLimits(connect_seconds=2, read_seconds=2, total_seconds=4, attempts=1)


def usage(nano):
    section = {
        "usedNanoUsd": nano,
        "numRequests": 1,
        "periodStart": "2026-11-01T00:00:00Z",
        "periodEnd": "2026-12-01T00:00:00Z",
    }
    return answer(json.dumps({"usage": {"inferenceProviders": section}}).encode())


@pytest.fixture
def hugging_face():
    """The source, and a fetch that sends the token."""
    with source(usage(100)) as serving, open_fetch(LIMITS, Clock(lambda _: None, time.monotonic), TOKEN) as fetch:
        yield serving, BillSource(fetch, serving.url)


def wanted(**fields):
    given: dict[str, Any] = {"account": "acme", "month": 202611}
    return BillRequest(**given | fields)


def test_the_answer_is_imported_and_the_same_answer_changes_nothing(meter, hugging_face):
    serving, invoices = hugging_face
    first = fetch_invoice(meter.engine, invoices, wanted(), now=AFTER)
    assert (first.is_new, first.invoice.total_nano, first.invoice.biller) == (True, 100, "huggingface")
    assert serving.requests[0]["authorization"] == f"Bearer {TOKEN}"
    assert not fetch_invoice(meter.engine, invoices, wanted(), now=AFTER).is_new
    serving.respond(usage(150))
    later = fetch_invoice(meter.engine, invoices, wanted(), now=AFTER)
    assert (later.invoice.supersedes_id, later.invoice.total_nano) == (first.invoice.id, 150)


def test_sessions_and_an_organization_have_their_own_addresses(meter):
    addresses = []

    def fetch(address, etag):
        addresses.append(address)
        raise FetchError("not today")

    for fields in ({}, {"what": SESSIONS}, {"organization": "acme/labs"}):
        with pytest.raises(FetchError):
            fetch_invoice(meter.engine, BillSource(fetch, "https://hf.example/api"), wanted(**fields), now=AFTER)
    period = "startDate=1793491200&endDate=1796083200"
    assert addresses == [
        f"https://hf.example/api/settings/billing/usage-v2?{period}",
        f"https://hf.example/api/settings/billing/usage-by-inference-session?{period}",
        f"https://hf.example/api/organizations/acme%2Flabs/billing/usage?{period}",
    ]


@pytest.mark.parametrize(
    "script",
    [answer(status="401 Unauthorized"), answer(b"<html>", content_type="text/html"), answer(b"{}"), answer(b"[")],
    ids=["refused", "HTML", "no usage", "broken"],
)
def test_a_failing_source_records_nothing_and_the_token_appears_nowhere(meter, hugging_face, script, caplog):
    serving, invoices = hugging_face
    serving.respond(script)
    with caplog.at_level(logging.DEBUG), pytest.raises(DomainError) as error:
        fetch_invoice(meter.engine, invoices, wanted(), now=AFTER)
    assert list_invoices(meter.engine) == []
    assert TOKEN not in f"{error.value} {error.value.__cause__} {caplog.text}"


def test_a_redirect_is_not_followed_with_the_token(meter, hugging_face):
    serving, invoices = hugging_face
    with source(usage(1)) as elsewhere:
        serving.respond(answer(status="302 Found", location=f"{elsewhere.url}/x"))
        with pytest.raises(FetchError):
            fetch_invoice(meter.engine, invoices, wanted(), now=AFTER)
        assert elsewhere.requests == []


def test_the_job_fetches_once_a_day_and_logs_a_failure_once(meter, hugging_face, caplog):
    serving, invoices = hugging_face
    meter.now = AFTER
    meter.ingest(usage_event(time=AFTER - HOUR))
    settings = ReconcileSettings(fetch_account="acme", fetch_hours=24)
    job = BillFetchJob(meter.engine, invoices, settings, bundled_plans(), lambda: meter.now)

    def hours(count):
        for _ in range(count):
            job()
            meter.now += HOUR

    hours(48)
    assert len(serving.requests) == 2
    serving.respond(answer(status="500 Internal Server Error"))
    hours(5)
    assert len(serving.requests) == 7
    assert sum("failed:" in record.getMessage() for record in caplog.records) == 1
    serving.respond(usage(100))
    hours(24)
    assert len(serving.requests) == 8
    assert sum("works again" in record.getMessage() for record in caplog.records) == 1
