"""The first charge of an event, which events succeeded, and which Hugging Face bills."""

import pytest

from metering.domain.usage.charging import first_charge, is_billable, route_of, succeeded
from metering.domain.usage.events import PriceGrade, QuantityGrade
from pricing.errors import ChargeTooLargeError
from pricing.quantities import Quantities
from support.builders import rate, usage_event

USED = Quantities(input_tokens=100, output_tokens=10)
PICTURES = Quantities(input_tokens=1, images=2)


def test_a_rate_wins_over_a_reported_cost():
    assert first_charge(USED, rate(), 5).amount_nano == 120_000
    assert (first_charge(USED, None, 5).amount_nano, first_charge(USED, None, 5).grade) == (5, PriceGrade.REPORTED)
    assert first_charge(PICTURES, rate(), 5).grade == PriceGrade.REPORTED
    assert first_charge(USED, None, 0).amount_nano == 0


def test_without_a_rate_or_reported_cost_the_amount_is_unknown_not_zero():
    for quantities, price in ((USED, None), (PICTURES, rate())):
        charge = first_charge(quantities, price, None)
        assert (charge.amount_nano, charge.rate_id, charge.grade) == (None, None, PriceGrade.UNPRICED)


def test_a_charge_remembers_its_rate():
    assert first_charge(USED, rate(id=7), None).rate_id == 7


def test_a_charge_that_is_too_large_is_refused():
    with pytest.raises(ChargeTooLargeError):
        first_charge(Quantities(input_tokens=10**9), rate(10**13), None)


@pytest.mark.parametrize(
    ("stated", "provider", "default", "route"),
    [
        ("provider_key", "hf-inference", "routed", "provider_key"),
        ("", "hf-inference", "routed", "serverless"),
        ("", "together", "routed", "routed"),
        ("", "together", "", "unknown"),
    ],
)
def test_the_route_is_as_stated_else_the_providers_else_the_accounts_else_unknown(stated, provider, default, route):
    assert route_of(stated, provider, default) == route


@pytest.mark.parametrize(
    ("route", "billed"), [("routed", True), ("serverless", True), ("provider_key", False), ("unknown", False)]
)
def test_hugging_face_bills_routed_and_serverless_requests(route, billed):
    assert is_billable(route) is billed


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"status": 200}, True),
        ({"status": 204, "quantities": Quantities()}, True),
        ({"status": 302}, True),
        ({"status": 399}, True),
        ({"status": 400}, False),
        ({"status": 199}, False),
        ({"status": 500}, False),
        ({"status": None}, True),
        ({"status": None, "quantities": Quantities(input_tokens=5)}, True),
        ({"status": None, "quantities": Quantities(), "quantity_grade": QuantityGrade.UNSTATED}, True),
        ({"status": None, "quantities": Quantities(images=1)}, True),
        ({"status": None, "quantities": Quantities(compute_ms=1)}, True),
        ({"status": None, "quantities": Quantities(input_tokens=5), "failure": "timeout"}, False),
        ({"status": None, "failure": "timeout"}, False),
        ({"status": 200, "failure": "timeout"}, True),
        ({"status": 200, "failure": "timeout", "quantities": Quantities(), "quantity_grade": QuantityGrade.UNSTATED}, False),
        ({"status": 500, "failure": "server_error"}, False),
        ({"status": 200, "quantities": Quantities(), "gateway_cached": True}, False),
        ({"status": None, "operation": "embeddings", "quantities": Quantities(input_tokens=5)}, True),
        ({"status": None, "operation": "rerank", "quantities": Quantities()}, True),
    ],
)
def test_a_request_was_answered_unless_an_error_is_stated(fields, answer):
    assert succeeded(usage_event(**fields)) is answer
