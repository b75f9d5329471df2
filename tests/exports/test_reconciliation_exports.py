"""A report is exact, self-contained and safe: hostile text stays text, in a page and in a spreadsheet."""

import csv
import re
from typing import Any

import pytest

from metering.domain.reconciliation.bridge import Bridge, BridgeStep
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.descriptions import describe_detail
from metering.domain.reconciliation.records import Evidence, Invoice, Reconciliation, ReconciliationReport, Variance
from metering.exports.reconciliation_csv import evidence_csv, reconciliation_csv
from metering.exports.reconciliation_html import reconciliation_html, signed_usd
from metering.exports.waterfall import Bar, waterfall

HOSTILE = "<script>alert(1)</script>"


def variance(**overrides):
    fields: dict[str, Any] = {
        "id": 1, "reconciliation_id": 1, "cause": "quantity", "detail": "cached_as_input", "provider": "together",
        "model": "llama", "session": "", "basis": "inferred", "amount_nano": 1_000_000_001, "items": 3, "tolerated": False,
        "alternatives": (), "state": "open", "who": "reconcile", "reason": "found", "decided_at": 0,
        "corrected_nano": 0, "adjustment": "",
    }  # fmt: skip
    return Variance(**fields | overrides)


def report(*variances, ours=2_000_000_000, **invoice):
    theirs = ours + sum(each.amount_nano for each in variances)
    steps = tuple(BridgeStep(Cause(each.cause), each.amount_nano, each.items) for each in variances)
    head = {
        "id": 1, "account_id": 2, "biller": "huggingface", "provider": "", "number": "", "format": "csv", "file": "",
        "grain": "request", "routes": ("routed",), "start": 0, "end": 86_400_000_000, "issued_at": 0, "unit_nano": 1,
        "lines": 1, "lines_nano": theirs, "total_nano": None, "supersedes_id": None, "notes": (), "imported_at": 0,
    }  # fmt: skip
    run = Reconciliation(
        id=1, invoice_id=1, account_id=2, run_at=0, ours_nano=ours, theirs_nano=theirs, requests=1, matched_requests=1,
        usage_nano=theirs, matched_nano=ours, valued=False, tolerance_nano=0,
    )  # fmt: skip
    return ReconciliationReport(run, Invoice(**head | invoice), tuple(variances), Bridge(ours, theirs, steps))


def page_of(found, account="acme"):
    return b"".join(reconciliation_html(found, account, made_at=0)).decode()


def test_the_page_shows_every_amount_exactly_and_is_self_contained():
    page = page_of(report(variance()))
    assert "+$1.000000001" in page
    assert "cached tokens charged as input" in page
    assert "inferred" in page
    assert re.findall(r"<(?:script|link|img|iframe)|https?://|@import|url\((?!#)", page) == []


def test_hostile_text_stays_text():
    detail, alternatives = f"model x/{HOSTILE}", (f"price:{HOSTILE}",)
    bad = variance(model=HOSTILE, provider=HOSTILE, detail=detail, reason=HOSTILE, who=HOSTILE, alternatives=alternatives)
    page = page_of(report(bad, number=HOSTILE, notes=(HOSTILE,), biller=HOSTILE), HOSTILE)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_matching_invoice_has_no_variances_on_the_page():
    assert "the invoice matches metered usage to the nano-dollar" in page_of(report())


def bars(chart):
    return [(row.left, row.width) for row in chart.rows]


def test_each_step_of_the_chart_starts_where_the_one_before_ended():
    steps = [Bar("a", 1_000, "total", ""), Bar("b", 500, "more", ""), Bar("c", -1_200, "less", ""), Bar("d", 300, "total", "")]
    first, more, less, last = bars(waterfall(steps))
    assert more[0] == first[0] + first[1]
    assert less[0] + less[1] == more[0] + more[1]
    assert last[0] + last[1] == less[0]


def test_small_steps_between_large_totals_are_visible_and_the_axis_shows_its_start():
    chart = waterfall([Bar("a", 10**12, "total", ""), Bar("b", 10, "more", ""), Bar("c", 10**12 + 10, "total", "")])
    assert chart.axis_start == 10**12 - 3
    assert bars(chart)[1][1] > 100
    assert "the axis starts at $999.999999997" in page_of(report(variance(amount_nano=10), ours=10**12))


def test_the_page_draws_every_bar_of_the_chart():
    drawn = re.findall(r'<rect class="bar (\w+)" x="(\d+)" y="(\d+)" width="(\d+)"', page_of(report(variance(), ours=10**9)))
    steps = [
        Bar("", 10**9, "total", ""), Bar("", 1_000_000_001, "more", ""), Bar("", 2_000_000_001, "total", "")
    ]  # fmt: skip
    assert [(kind, *map(int, numbers)) for kind, *numbers in drawn] == [
        (row.bar.kind, row.left, row.top, row.width) for row in waterfall(steps).rows
    ]


@pytest.mark.parametrize("amounts", [(0, 0, 0), (5, -10, -5), (0, 7, 7), (-3, 3, 0)])
def test_any_bridge_can_be_drawn(amounts):
    ours, step, theirs = amounts
    chart = waterfall([Bar("a", ours, "total", ""), Bar("b", step, "more", ""), Bar("c", theirs, "total", "")])
    assert all(330 <= x <= 790 and 2 <= width <= 460 for x, width in bars(chart))


def test_amounts_are_written_exactly():
    assert [signed_usd(nano, plus=True) for nano in (0, 1, -1, 1_234_500_000_000)] == [
        "$0.00", "+$0.000000001", "\u2212$0.000000001", "+$1,234.50",
    ]  # fmt: skip


def test_the_rows_of_the_csv_add_up_from_ours_to_theirs():
    text = b"".join(reconciliation_csv(report(variance(), variance(cause="refund", detail="", amount_nano=-7)))).decode()
    rows = list(csv.DictReader(text.splitlines()))
    bridge = [(row["row"], int(row["amount_nano_usd"])) for row in rows if row["row"] != "variance"]
    assert bridge == [("ours", 2_000_000_000), ("step", 1_000_000_001), ("step", -7), ("theirs", 2_999_999_994)]


def test_text_that_a_spreadsheet_would_run_is_escaped_and_amounts_stay_numbers():
    item = Evidence(event_id="=1+1", source="@x", provider="-p", model="+m", request_id="\tid", ours_nano=-5, amount_nano=-5)
    (head, row) = csv.reader(b"".join(evidence_csv([(variance(), item)])).decode().splitlines())
    cells = dict(zip(head, row, strict=True))
    assert (cells["event_id"], cells["source"], cells["provider"], cells["model"]) == ("'=1+1", "'@x", "'-p", "'+m")
    assert (cells["ours_nano_usd"], cells["theirs_nano_usd"], cells["difference_nano_usd"]) == ("-5", "", "-5")


@pytest.mark.parametrize(
    ("detail", "description"),
    [
        ("cached_as_input", "cached tokens charged as input"),
        ("input_tokens+output_tokens", "input tokens and output tokens"),
        ("+2 h", "a period that starts and ends 2 h later"),
        ("-5.5 h", "a period that starts and ends 5.5 h earlier"),
        ("day 20000", "the day 2024-10-04"),
        ("model together/a:b", "a:b at together"),
        ("rate 7", "the price of rate 7"),
        ("x 1.05", "1.05 times our amounts"),
        (
            "quantity:cached_as_input+price:rate 3 | period_edge:+2 h",
            "billed for different quantities: cached tokens charged as input and billed at a different price: the price of rate"
            " 3; or counted in the adjacent period by one side: a period that starts and ends 2 h later",
        ),
    ],
)
def test_details_are_described_in_words(detail, description):
    assert describe_detail(detail) == description
