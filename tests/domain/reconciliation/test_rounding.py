"""Rounding is bounded by how many amounts were rounded, and to what unit; whatever is beyond that is unexplained."""

import pytest

from metering.domain.reconciliation.bridge import BrokenBridgeError, build_bridge
from metering.domain.reconciliation.causes import Cause, CauseBasis
from metering.domain.reconciliation.explain_groups import GroupExplainer
from metering.domain.reconciliation.explain_requests import RequestExplainer
from metering.domain.reconciliation.findings import Finding, FindingKey, FindingLocation, Findings, Item, UnboundedRoundingError
from metering.domain.reconciliation.group_hypotheses import exactly
from metering.domain.reconciliation.invoices import InvoiceLine
from metering.domain.reconciliation.requests import Billability, MeteredRequest
from metering.domain.reconciliation.usage_groups import MeteredUsage
from pricing.quantities import Quantities
from support.planted_bills import COVERAGE, END, HOUR, RATES, RECORDED, START

CENT = 10**7
METERED = 100_123_456_789
CREDITS, FEE = -2_370_000_000, 9_410_000_000
USED = Quantities(input_tokens=1_000, output_tokens=100)
CHARGE = 1_013_000  # 1,000 input tokens at 900 nano-USD and 100 output tokens at 1,130


def causes(findings):
    return {(found.key.cause, found.key.detail): found.amount_nano for found in findings.sorted()}


def total_with(difference, *known):
    """Compare a total in cents with one metered request that cost a hundred dollars."""
    usage = MeteredUsage(
        day=START // (24 * HOUR),
        provider="together",
        model="llama",
        billability=Billability.BILLED,
        requests=1,
        quantities=USED,
        amount_nano=METERED,
    )
    explainer = GroupExplainer(COVERAGE, unit_nano=CENT, recorded={}, known=known)
    return explainer.explain([InvoiceLine(position=1, amount_nano=METERED + difference)], [usage], [])


def test_a_candidate_explains_no_difference_of_the_opposite_sign():
    known = exactly(Cause.CREDITS, "", CREDITS)
    assert causes(total_with(CREDITS, known)) == {(Cause.CREDITS, ""): CREDITS}
    assert causes(total_with(-CREDITS, known)) == {(Cause.UNEXPLAINED, ""): -CREDITS}


def test_pairs_of_candidates_explain_no_difference_of_the_opposite_sign():
    known = exactly(Cause.CREDITS, "", CREDITS), exactly(Cause.FEE, "", FEE)
    assert causes(total_with(CREDITS + FEE, *known)) == {(Cause.CREDITS, ""): CREDITS, (Cause.FEE, ""): FEE}
    assert causes(total_with(-CREDITS - FEE, *known)) == {(Cause.UNEXPLAINED, ""): -CREDITS - FEE}


def both_lines_of_a_request(first, second):
    """Compare one request with two lines that state a part of its cost each."""
    explainer = RequestExplainer(COVERAGE, as_of=END + 100 * HOUR, unit_nano=1, recorded=RECORDED)
    request = MeteredRequest(
        event_id=1,
        time=START + 100 * HOUR,
        provider="together",
        model="llama",
        billability=Billability.BILLED,
        amount_nano=CHARGE,
        quantities=USED,
        rate=RATES[1],
    )
    lines = [
        InvoiceLine(position=position, request_id="r1", amount_nano=amount, quantities=quantities)
        for position, (amount, quantities) in enumerate((first, second), start=1)
    ]
    explainer.add(request, lines)
    return causes(explainer.finish())


def test_lines_of_a_request_with_equal_amounts_and_different_quantities_are_not_duplicates():
    # The input and the output of one request, billed for 200 output tokens more: 226,000 more in all.
    half = (CHARGE + 226_000) // 2
    assert both_lines_of_a_request((half, {"input_tokens": 1_000}), (half, {"output_tokens": 300})) == {
        (Cause.QUANTITY, "output_tokens"): 226_000
    }


def test_a_line_of_a_request_with_equal_amount_and_quantities_is_a_duplicate():
    line = (CHARGE, {"input_tokens": 1_000, "output_tokens": 100})
    assert both_lines_of_a_request(line, line) == {(Cause.DUPLICATE_THERE, ""): CHARGE}


@pytest.mark.parametrize(("amount", "cause"), [(CENT, Cause.ROUNDING), (-CENT, Cause.ROUNDING), (CENT + 2, Cause.UNEXPLAINED)])
def test_a_total_in_cents_rounds_by_no_more_than_a_cent_and_a_nano_dollar_per_request(amount, cause):
    assert causes(total_with(amount)) == {(cause, ""): amount}


@pytest.mark.parametrize(("amount", "cause"), [(5, Cause.ROUNDING), (-5, Cause.ROUNDING), (6, Cause.UNEXPLAINED)])
def test_rounding_beyond_its_slack_is_unexplained(amount, cause):
    findings = Findings()
    findings.add_rounding(FindingLocation("together"), Item(None, 1, 0, amount, amount), slack_nano=5)
    (found,) = findings.sorted()
    assert (found.key.cause, found.key.provider, found.amount_nano) == (cause, "together", amount)


def test_rounding_cannot_be_added_without_its_slack():
    with pytest.raises(UnboundedRoundingError):
        Findings().add(FindingKey(Cause.ROUNDING), Item(None, 1, 0, 1, 1))


def test_a_bridge_with_rounding_beyond_its_slack_is_refused():
    finding = Finding(FindingKey(Cause.ROUNDING), CauseBasis.OBSERVED)
    finding.items.add(Item(None, 1, 0, 6, 6))
    finding.slack_nano = 6
    assert build_bridge(0, 6, [finding]).amount_of(Cause.ROUNDING) == 6
    finding.slack_nano = 5
    with pytest.raises(BrokenBridgeError, match="cannot be rounding"):
        build_bridge(0, 6, [finding])


def test_what_an_exact_candidate_leaves_is_rounding_only_within_the_unit_of_the_invoice():
    known = exactly(Cause.FEE, "", FEE)
    assert causes(total_with(FEE + CENT, known)) == {(Cause.FEE, ""): FEE, (Cause.ROUNDING, ""): CENT}
    assert causes(total_with(FEE + CENT + 1, known)) == {(Cause.UNEXPLAINED, ""): FEE + CENT + 1}


def test_a_bridge_that_does_not_lead_to_their_amount_is_refused():
    finding = Finding(FindingKey(Cause.FEE), CauseBasis.OBSERVED)
    finding.items.add(Item(None, 1, 0, FEE, FEE))
    assert build_bridge(7, 7 + FEE, [finding]).difference_nano == FEE
    for theirs in (7 + FEE - 1, 7 + FEE + 1, 7 - FEE):
        with pytest.raises(BrokenBridgeError, match=f"lead from 7 to {7 + FEE} nano-USD instead of {theirs}"):
            build_bridge(7, theirs, [finding])
