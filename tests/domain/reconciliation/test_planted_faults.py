"""A fault planted in an invoice is found with its amount, and nothing is found that was not planted."""

import pytest

from metering.domain.reconciliation.bridge import build_bridge
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explain_requests import RequestExplainer
from metering.domain.reconciliation.invoices import InvoiceLine
from metering.domain.reconciliation.pairing import Pairing
from metering.domain.reconciliation.rounding import run_slack
from support.planted_bills import COVERAGE, END, FAULTS, HOUR, RECORDED, START, PlantedBill, cost_of, rounding_of

SEEDS = 1_000
INNER = (START + 15 * HOUR, END - 15 * HOUR)


def reconciled(bill):
    """Compare the invoice with usage; return the bridge and the findings."""
    lines = {line.position: line for line in bill.invoice_lines()}
    requests = {each.event_id: each for each in bill.requests}
    pairing = Pairing((line.position, line.request_id, line.amount_nano) for line in lines.values())
    explainer = RequestExplainer(COVERAGE, as_of=END + 100 * HOUR, unit_nano=1, recorded=RECORDED)
    summaries = [
        (each.event_id, each.time, 0, each.billability, each.amount_nano, bill.id_of(each), "", f"own-{each.event_id}")
        for each in sorted(bill.requests, key=lambda each: each.time)
    ]
    for pair in pairing.pair(summaries, inner=INNER, period=(START, END)):
        explainer.add(requests[pair.event_id], [lines[position] for position in pair.positions], is_repeat=pair.is_repeat)
    for position in pairing.unmatched():
        explainer.add_line(lines[position])
    findings = explainer.finish()
    ours = pairing.agreed_nano + explainer.ours_nano
    assert ours == sum(each.amount_nano for each in bill.requests if bill.is_expected(each))
    assert rounding_of(findings) <= run_slack(lines=len(lines), unit_nano=1, requests=len(bill.requests))
    return build_bridge(ours, sum(line.amount_nano for line in lines.values()), findings.sorted()), findings.sorted()


def named(bridge):
    return {step.cause: step.amount_nano for step in bridge.steps if step.amount_nano}


def planted(bill):
    return {cause: amount for cause, amount in bill.planted.items() if amount}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_single_fault_is_found_with_its_amount_and_nothing_else(fault):
    for seed in range(SEEDS):
        bill = PlantedBill(seed)
        fault(bill)
        bridge, _ = reconciled(bill)
        assert named(bridge) == planted(bill), f"seed {seed}"


def test_mixed_faults_are_found_and_no_other_cause_is_reported():
    for seed in range(SEEDS):
        bill = PlantedBill(seed)
        for fault in bill.random.sample(FAULTS, bill.random.randint(2, 6)):
            fault(bill)
        bridge, _ = reconciled(bill)
        assert named(bridge) == planted(bill), f"seed {seed}"


def test_a_correct_invoice_has_a_bridge_without_steps():
    for seed in range(100):
        bridge, findings = reconciled(PlantedBill(seed))
        assert (bridge.steps, findings, bridge.difference_nano) == ((), [], 0)


def test_what_fits_two_of_thousands_of_unexplained_differences_is_listed_but_not_claimed():
    bill = PlantedBill(3, requests=6_000)
    chosen = bill.touch(all_of_them=True)
    by_accident = [each for each in chosen if each.quantities.cache_read_tokens][:2]
    for request in chosen:
        cached = request.quantities.cache_read_tokens
        other = request.amount_nano + bill.random.randint(3, request.amount_nano)
        amount = cost_of(request, fresh=cached, cached=-cached) if request in by_accident else other
        bill.charge(request, amount, Cause.UNEXPLAINED)
    bridge, findings = reconciled(bill)
    assert len(chosen) > 3_000
    assert named(bridge) == planted(bill)
    assert {found.alternatives for found in findings if len(found.items) <= 2} == {("quantity:cached_as_input",)}


def test_a_refund_of_a_request_that_was_not_metered_is_a_refund():
    explainer = RequestExplainer(COVERAGE, as_of=END + 100 * HOUR, unit_nano=1, recorded=RECORDED)
    explainer.add_line(InvoiceLine(position=1, request_id="elsewhere-1", amount_nano=-250))
    explainer.add_line(InvoiceLine(position=2, request_id="elsewhere-2", amount_nano=300))
    found = {each.key.cause: each.amount_nano for each in explainer.finish().sorted()}
    assert found == {Cause.REFUND: -250, Cause.MISSING_HERE: 300}
