"""Each format yields the lines that a document states; what it leaves out stays unknown, and errors name what is wrong."""

import io
import json
from typing import Any

import pytest

from metering.domain.instants import MICROS_PER_DAY
from metering.domain.reconciliation.invoices import Grain, InvoiceError
from metering.invoices.detect import READERS, SAMPLE_BYTES, detect_format
from metering.invoices.reading import ReadOptions
from support.builders import instant

START, END = instant("2026-11-01T00:00:00Z"), instant("2026-12-01T00:00:00Z")


def day(text):
    return instant(f"{text}T00:00:00Z") // MICROS_PER_DAY


def read(content, **options):
    """Read a document in its detected format; return head, lines and the format."""
    raw = (
        content
        if isinstance(content, bytes)
        else content.encode()
        if isinstance(content, str)
        else json.dumps(content).encode()
    )
    name = detect_format(raw[:SAMPLE_BYTES], mapped="columns" in options)
    reading = READERS[name](io.BytesIO(raw), ReadOptions(**options))
    return reading.head, list(reading.lines), name


def error_of(content, **options):
    with pytest.raises(InvoiceError) as error:
        read(content, **options)
    return error.value.code, str(error.value)


USAGE_V2 = {
    "usage": {
        "inferenceProviders": {
            "usedNanoUsd": 26_740_000_001,
            "includedNanoUsd": 2_000_000_000,
            "limitNanoUsd": 100_000_000_000,
            "numRequests": 8819,
            "periodStart": "2026-11-01T00:00:00.000Z",
            "periodEnd": "2026-12-01T00:00:00.000Z",
        },
        "jobs": {"usedMicroUsd": 0, "totalMinutes": 0},
    }
}
LIVE = {
    "usage": {
        "inference": {
            "usedNanoUsd": 300,
            "numRequests": 3,
            "periodStart": "2026-11-01T00:00:00Z",
            "periodEnd": "2026-12-01T00:00:00Z",
            "providerDetails": [
                {"provider": "together", "numRequests": 2, "totalCostNanoUsd": 200, "totalDurationMs": 1200},
                {"provider": "fal-ai", "numRequests": 1, "totalCostNanoUsd": 100, "totalDurationMs": 300},
            ],
        }
    }
}


def test_usage_v2_is_a_total():
    head, [line], name = read(USAGE_V2)
    assert (name, head.total_nano, head.unit_nano) == ("hf-usage", 26_740_000_001, 1)
    assert (head.start, head.end) == (START, END)
    assert (line.grain, line.amount_nano, line.requests) == (Grain.TOTAL, 26_740_000_001, 8819)
    assert "jobs" in head.notes[0]


def test_the_end_of_usage_v2_is_what_was_asked_for_and_credits_paid_what_is_included():
    head, _, _ = read(USAGE_V2)
    # $26.740000001 used, $2.00 of it paid by credits.
    assert (
        "included credits paid 2000000000 nano-USD of this usage, so 24740000001 nano-USD is charged; usage is compared before"
        " credits" in head.notes
    )
    other, _, _ = read(USAGE_V2, end=END - 86_400_000_000)
    assert (
        "periodEnd is 2026-12-01T00:00:00.000000Z, the end that was asked for; 2026-11-30T00:00:00.000000Z is used instead"
        in other.notes
    )
    live, _, _ = read(LIVE, end=END - 86_400_000_000)
    assert any(note.startswith("periodEnd is 2026-12-01T00:00:00.000000Z, in the document;") for note in live.notes)


def test_usage_live_is_by_provider_and_in_a_stream_the_last_event_counts():
    stream = 'event: usage\ndata: {"usage": {"inference": {"usedNanoUsd": 1}}}\n\n: ping\ndata: ' + json.dumps(LIVE) + "\n\n"
    for content in (LIVE, stream):
        head, lines, _ = read(content)
        assert head.total_nano == 300
        assert [(line.grain, line.provider, line.requests, line.amount_nano) for line in lines] == [
            (Grain.PROVIDER, "together", 2, 200),
            (Grain.PROVIDER, "fal-ai", 1, 100),
        ]


def test_sessions_are_in_cents_and_of_one_period():
    sessions = [{"id": "search", "requestCount": 4, "costCents": 12}, {"id": "chat", "requestCount": 1, "costCents": 0.5}]
    first = {"periodStart": "2026-10-01T00:00:00Z", "periodEnd": "2026-11-01T00:00:00Z", "sessions": sessions}
    second = {"periodStart": "2026-11-01T00:00:00Z", "periodEnd": "2026-12-01T00:00:00Z", "sessions": sessions[:1]}
    head, lines, name = read({"periods": [first]})
    assert (name, head.unit_nano) == ("hf-sessions", 1_000_000)
    assert [(line.session, line.requests, line.amount_nano) for line in lines] == [
        ("search", 4, 120_000_000),
        ("chat", 1, 5_000_000),
    ]
    assert "2 periods" in error_of({"periods": [first, second]})[1]
    _, lines, _ = read({"periods": [first, second]}, start=START, end=END)
    assert len(lines) == 1


@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_answers_to_the_billing_api_are_by_request(form):
    answers: list[dict[str, Any]] = [
        {"requests": [{"requestId": "a", "costNanoUsd": 100}, {"requestId": "b", "costNanoUsd": -1}]},
        {"requests": None},
        {"requests": [{"requestId": "c", "costNanoUsd": 0}, {"requestId": "d", "costNanoUsd": 1.5}, {"requestId": "e"}]},
    ]
    joined = {"requests": [*answers[0]["requests"], *answers[2]["requests"]]}
    content = {"one": joined, "list": answers, "lines": "\n".join(json.dumps(each) for each in answers)}[form]
    head, lines, name = read(content)
    assert name == "hf-billing"
    assert [(line.request_id, line.amount_nano) for line in lines] == [("a", 100), ("c", 0)]
    assert "3 costs" in head.notes[0]


FIREWORKS = (
    "email,start_time,end_time,usage_type,accelerator_type,accelerator_seconds,base_model_name,model_bucket,parameter_count,"
    "prompt_tokens,completion_tokens\n"
    "a@b.c,2026-11-03T00:00:00Z,2026-11-04T00:00:00Z,TEXT,,,accounts/fireworks/models/gpt-oss-120b,,,1000,200\n"
    "a@b.c,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,TEXT,,,other,,,5,\n"
)


def test_fireworks_states_tokens_but_no_dollars():
    head, lines, name = read(FIREWORKS)
    assert (name, head.biller, head.provider) == ("fireworks-csv", "fireworks-ai", "fireworks-ai")
    assert lines[0].day == day("2026-11-03")
    assert (lines[0].amount_nano, lines[0].quantities) == (None, {"prompt_tokens": 1000, "output_tokens": 200})
    assert (lines[1].day, lines[1].quantities) == (None, {"prompt_tokens": 5})


def test_fireworks_times_without_a_zone_need_one():
    naive = FIREWORKS.replace("Z,", ",")
    assert error_of(naive)[0] == "naive_time"
    assert read(naive, zone="UTC")[1][0].day == day("2026-11-03")


@pytest.mark.parametrize("form", ["list", "object", "lines"])
def test_fal_events_are_by_request(form):
    events = [
        {
            "request_id": "r1",
            "endpoint_id": "fal-ai/flux/dev",
            "cost_subtotal": 0.03,
            "cost_discount": 0.005,
            "cost_total": 0.025,
        },
        {"request_id": "r2", "endpoint_id": "fal-ai/flux/dev", "cost_estimate_nano_usd": 25_000_001},
        {"request_id": "r3", "cost_subtotal": "0.03", "cost_discount": "0.01"},
    ]
    lines = "\n".join(json.dumps(each) for each in events)
    head, lines, name = read({"list": events, "object": {"events": events}, "lines": lines}[form])
    assert (name, head.biller) == ("fal-events", "fal-ai")
    assert [(line.request_id, line.amount_nano) for line in lines] == [
        ("r1", 25_000_000),
        ("r2", 25_000_001),
        ("r3", 20_000_000),
    ]


CSV = "date;provider;model;requests;amount\n2026-11-03;together;llama;12;1.234,50\n2026-11-04;together;llama;1;0,25\n"


def test_a_csv_with_decimal_commas_is_read_by_its_column_names():
    head, lines, name = read(CSV)
    assert (name, head.unit_nano) == ("csv", 10_000_000)
    assert [(line.day, line.amount_nano, line.requests) for line in lines] == [
        (day("2026-11-03"), 1_234_500_000_000, 12),
        (day("2026-11-04"), 250_000_000, 1),
    ]
    assert lines[0].position == 2


def test_a_csv_is_read_with_a_map_of_columns():
    text = "When,Engine,In,Out,Cost (USD)\n2026-11-03T23:30:00-05:00,llama,10,5,0.5\n"
    columns = {"date": "When", "model": "Engine", "input_tokens": "In", "output_tokens": "Out", "amount": "Cost (USD)"}
    _, [line], _ = read(text, columns=columns, biller="together", provider="together")
    assert (line.day, line.model, line.amount_nano) == (day("2026-11-04"), "llama", 500_000_000)
    assert line.quantities == {"input_tokens": 10, "output_tokens": 5}


def test_json_is_read_with_a_map_of_paths():
    document = {"currency": "usd", "data": {"items": [{"id": "r1", "cost": {"total": 0.5}}, {"id": "r2", "cost": {}}]}}
    columns = {"lines": "data.items", "request_id": "id", "amount": "cost.total"}
    head, lines, name = read(document, columns=columns)
    assert name == "json"
    assert [(line.request_id, line.amount_nano) for line in lines] == [("r1", 500_000_000)]
    assert "neither an amount nor a quantity: 1" in head.notes[0]


@pytest.mark.parametrize(
    ("text", "nano", "unit"),
    [
        ("770", 770_000_000_000, 10_000_000),
        ("Total due: $1,234.5", 1_234_500_000_000, 10_000_000),
        ("26,7400", 26_740_000_000, 100_000),
    ],
)
def test_a_total_can_be_pasted(text, nano, unit):
    head, [line], name = read(text)
    assert (name, head.total_nano, head.unit_nano, line.amount_nano) == ("total", nano, unit, nano)


INVALID = {
    "empty": (b"", "empty_file", "empty"),
    "not text": (b"date,amount\n\xff\xfe,1\n", "invalid_invoice", "UTF-8"),
    "euros in an amount": ("date,amount\n2026-11-01,€5\n", "wrong_currency", "USD"),
    "euros in a column": ("date,amount,currency\n2026-11-01,5,EUR\n", "wrong_currency", "EUR"),
    "another account": ("date,amount,account\n2026-11-01,5,globex\n", "wrong_account", "globex"),
    "a short row": ("date,amount\n2026-11-01\n", "invalid_invoice", "line 2"),
    "no known column": ("a,b\n1,2\n", "missing_column", "map"),
    "a negative count": ("date,requests\n2026-11-01,-5\n", "invalid_invoice", "requests"),
    "a half request": ("date,requests\n2026-11-01,1.5\n", "invalid_invoice", "requests"),
    "no day": ("date,amount\n31/12/2026,1\n", "invalid_invoice", "date"),
    "an unknown kind": ("date,amount,kind\n2026-11-01,1,gift\n", "invalid_invoice", "gift"),
    "broken JSON": (b'{"usage": {"inferenceProviders"', "invalid_invoice", "JSON"),
    "no list": (b'{"hello": 1, "there": [1]}', "invalid_invoice", "no line states"),
    "prose": ("dear customer\nthank you\n", "unknown_invoice_format", "name it"),
    "usage without amounts": ({"usage": {"inferenceProviders": {"usedNanoUsd": "lots"}}}, "invalid_invoice", "usedNanoUsd"),
    "an endless row": (b"date,amount\n" + b"x" * 70_000 + b",1\n", "invalid_invoice", "characters"),
}


@pytest.mark.parametrize(("content", "code", "text"), INVALID.values(), ids=INVALID)
def test_an_invalid_document_is_refused_with_the_reason(content, code, text):
    found, message = error_of(content, account_names=frozenset({"acme"}))
    assert found == code
    assert text in message


def test_a_map_names_only_existing_columns_and_fields():
    assert "no column" in error_of(CSV, columns={"amount": "price"})[1]
    assert "not a field" in error_of(CSV, columns={"color": "amount"})[1]
