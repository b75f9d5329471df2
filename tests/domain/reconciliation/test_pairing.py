"""Pairing requests with the lines of an invoice, worked out by hand; each request costs 100 nano-USD."""

import pytest

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explain_requests import RequestExplainer
from metering.domain.reconciliation.invoices import InvoiceLine
from metering.domain.reconciliation.pairing import PairedRequest, Pairing
from metering.domain.reconciliation.requests import Billability, MeteredRequest
from pricing.quantities import Quantities
from support.planted_bills import COVERAGE, END, HOUR, RECORDED, START

BILLED, FAILED = int(Billability.BILLED), int(Billability.FAILED)
INSIDE = START + 100 * HOUR
PERIOD = (START, END)
SERIES = 9


def request(event_id, *, time=INSIDE, billability=BILLED, amount=100, inference_id="", response_id="", own_id=""):
    return event_id, time, SERIES, billability, amount, inference_id, response_id, own_id


def paired(lines, *requests):
    """Pair; return the pairing and the requests that do not agree."""
    pairing = Pairing(lines)
    return pairing, list(pairing.pair(requests, inner=PERIOD, period=PERIOD))


def not_agreeing(event_id, *positions, time=INSIDE, billability=BILLED, amount=100, is_repeat=False):
    return PairedRequest(event_id, time, SERIES, billability, amount, positions, is_repeat)


def test_a_request_with_an_equal_line_agrees_and_a_line_without_a_request_is_left():
    pairing, rest = paired([(1, "a", 100), (2, "b", 100), (3, "c", 70)], request(5, own_id="a"), request(6, own_id="b"))
    assert (pairing.agreed_requests, pairing.agreed_nano, rest) == (2, 200, [])
    assert list(pairing.unmatched()) == [3]


def test_a_request_whose_line_has_another_amount_or_none_does_not_agree():
    pairing, rest = paired([(1, "a", 99), (2, "b", None)], request(5, own_id="a"), request(6, own_id="b"))
    assert (pairing.agreed_requests, pairing.agreed_nano) == (0, 0)
    assert rest == [not_agreeing(5, 1), not_agreeing(6, 2)]
    assert [pairing.amount_at(position) for position in (1, 2)] == [99, None]


def test_ids_are_tried_in_the_order_inference_response_own():
    lines = [(1, "inference", 100), (2, "response", 100), (3, "own", 100)]
    ids = {"inference_id": "inference", "response_id": "response", "own_id": "own"}
    for count, left in ((3, [2, 3]), (2, [1, 3]), (1, [1, 2])):
        pairing, rest = paired(lines, request(5, **dict(list(ids.items())[3 - count :])))
        assert (rest, list(pairing.unmatched())) == ([], left)


def test_all_lines_that_name_a_request_come_with_it():
    pairing, rest = paired([(1, "a", 40), (2, "b", 100), (3, "a", 60)], request(5, own_id="a"), request(6, own_id="b"))
    assert rest == [not_agreeing(5, 1, 3)]
    assert (pairing.agreed_requests, list(pairing.unmatched())) == (1, [])


@pytest.mark.parametrize("lines", [[(1, "a", 100)], [(1, "a", 40), (2, "a", 60)]])
def test_a_second_request_with_the_same_id_is_a_repeat(lines):
    _, rest = paired(lines, request(5, own_id="a"), request(6, own_id="a"))
    assert rest[-1] == not_agreeing(6, is_repeat=True)


def test_a_request_without_a_line_is_passed_on_if_the_invoice_should_have_billed_it():
    requests = [
        request(1, own_id="inside"),
        request(2, own_id="first", time=START),
        request(3, own_id="before", time=START - 1),
        request(4, own_id="after", time=END),
        request(5, own_id="failed", billability=FAILED),
        request(6, own_id="free", amount=0),
    ]
    assert paired([], *requests)[1] == [not_agreeing(1), not_agreeing(2, time=START)]


def test_a_failed_request_and_one_outside_of_the_period_do_not_agree_although_the_amounts_are_equal():
    failed, outside = request(5, own_id="a", billability=FAILED), request(6, own_id="b", time=END)
    pairing, rest = paired([(1, "a", 100), (2, "b", 100)], failed, outside)
    assert pairing.agreed_requests == 0
    assert rest == [not_agreeing(5, 1, billability=FAILED), not_agreeing(6, 2, time=END)]


def explained(time, lines, *, is_repeat=False):
    """Return the causes of the difference between one request of 100 nano-USD and its lines."""
    explainer = RequestExplainer(COVERAGE, as_of=END + 100 * HOUR, unit_nano=1, recorded=RECORDED)
    metered = MeteredRequest(
        event_id=1, time=time, provider="together", model="llama", billability=BILLED, amount_nano=100, quantities=Quantities()
    )
    explainer.add(metered, lines, is_repeat=is_repeat)
    return explainer.ours_nano, {(each.key.cause, each.key.detail): each.amount_nano for each in explainer.finish().sorted()}


def test_a_request_metered_twice_is_missing_there_and_called_so():
    assert explained(INSIDE, [], is_repeat=True) == (100, {(Cause.MISSING_THERE, "metered_twice"): -100})
    assert explained(INSIDE, []) == (100, {(Cause.MISSING_THERE, ""): -100})


def test_a_request_at_the_start_of_the_period_belongs_to_it_and_one_at_its_end_does_not():
    line = InvoiceLine(position=1, request_id="a", amount_nano=70)
    assert explained(START, [line]) == (100, {(Cause.UNEXPLAINED, ""): -30})
    assert explained(END, [line]) == (0, {(Cause.PERIOD_EDGE, ""): 70})
    assert explained(START - 1, [line]) == (0, {(Cause.PERIOD_EDGE, ""): 70})
