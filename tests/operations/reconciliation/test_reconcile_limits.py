"""What reconciling refuses, because the result would be wrong."""

import pytest

from metering.domain.errors import DomainError
from metering.operations.reconciliation.resolve_variance import resolve_variance
from metering.storage.tables import adjustments
from support.bills import AFTER, reconciled
from support.builders import instant, usage_event

NOON = instant("2026-11-10T12:00:00Z")


def line(number, amount):
    return {"request_id": f"inference-{number:04d}", "amount_nano_usd": amount}


def request(number, **fields):
    return usage_event(id=f"r{number}", time=NOON + number, inference_id=f"inference-{number:04d}", **fields)


def test_tokens_without_an_amount_and_without_a_price_are_not_a_match(meter):
    meter.now = AFTER
    meter.ingest(*(request(number) for number in range(3)))
    unknown = {"date": "2026-11-10", "provider": "together", "model": "no-price", "prompt_tokens": 1_000_000_000}
    with pytest.raises(DomainError, match="no price is known"):
        reconciled(meter, [unknown])


def test_an_invoice_of_a_provider_corrects_no_statement(meter):
    meter.now = AFTER
    meter.ingest(*(request(number, route="provider_key") for number in range(3)))
    expensive = [line(number, 2_000_000_000) for number in range(3)]
    report = reconciled(meter, expensive, biller="together")
    assert report.variances
    for variance in report.variances:
        with pytest.raises(DomainError, match="does not bill"):
            resolve_variance(meter.engine, variance.id, "accepted", who="ada", reason="it is right", correct=True, now=AFTER)
    assert meter.count(adjustments) == 0
