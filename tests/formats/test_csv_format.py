"""CSV logs: columns are mapped or have the names of event fields, and one bad row does not affect others."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.errors import LogFormatError
from metering.domain.instants import format_instant, parse_instant
from metering.domain.usage.events import QuantityGrade
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.options import DecodeOptions
from pricing.quantities import Quantities

NOW = parse_instant("2026-11-20T12:00:00Z")
AZURE = {"time": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"}


def read(text: str | bytes, **options):
    data = text.encode() if isinstance(text, str) else text
    decoder = BlockDecoder("csv", DecodeOptions(**{"source": "log.csv", "now": NOW, "model": "m", **options}))
    return decoder.decode(RawBlock(data, 1, 0))


def test_a_trace_with_foreign_column_names_is_read_by_its_map():
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0319609,3180,8"
    )
    block = read(text, columns=AZURE, zone="UTC", replay_from=parse_instant("2026-11-01T00:00:00Z"))
    assert block.rejected == []
    first, second = (d.event for d in block.events)
    assert first.time == parse_instant("2026-11-01T00:00:00Z")
    assert second.time - first.time == 52_000  # .031960 - .979960, the seventh digit truncated
    assert first.quantities == Quantities(input_tokens=4808, output_tokens=10)
    assert (first.model, first.source) == ("m", "log.csv")


def test_columns_with_native_names_need_no_map():
    text = (
        "id,time,end_time,account,provider,model,route,status,project,key,input_tokens,output_tokens,latency_ms,response_id\n"
        "a,2026-11-03T10:15:00Z,2026-11-03T10:15:09Z,acme,together_ai,x:groq,routed,200,p,k,5,7,840.9,resp_1\n"
    )
    (decoded,) = read(text, model="").events
    event = decoded.event
    assert (event.id, event.account, event.provider, event.model, event.route) == ("a", "acme", "together", "x", "routed")
    assert (event.status, event.project, event.key, event.latency_ms, event.response_id) == (200, "p", "k", 840, "resp_1")
    assert event.quantities == Quantities(input_tokens=5, output_tokens=7)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_detected_from_the_header(delimiter):
    text = delimiter.join(["time", "output_tokens", "note,with;all|of\tthem"])
    header = io.StringIO()
    csv.writer(header, delimiter=delimiter).writerow(["time", "output_tokens", "a,b;c|d"])
    block = read(header.getvalue() + delimiter.join(["2026-11-03T10:15:00Z", "7", "x"]) + "\n")
    assert [d.event.quantities.output_tokens for d in block.events] == [7], text


def test_inclusive_columns_are_split_and_cached_tokens_counted_once():
    text = "time,prompt_tokens,cached_tokens,output_tokens\n2026-11-03T10:15:00Z,1000,600,200\n2026-11-03T10:15:00Z,5,6,1\n"
    block = read(text)
    assert [d.event.quantities for d in block.events] == [
        Quantities(input_tokens=400, cache_read_tokens=600, output_tokens=200),
    ]  # fmt: skip
    assert [r.code for r in block.rejected] == ["cached_exceeds_prompt"]


def test_one_hour_cache_writes_stay_in_their_own_bucket():
    text = "time,prompt_tokens,cache_write_tokens,cache_write_1h_tokens\n2026-11-03T10:15:00Z,100,30,20\n"
    assert read(text).events[0].event.quantities == Quantities(input_tokens=50, cache_write_tokens=30, cache_write_1h_tokens=20)


@pytest.mark.parametrize(
    ("stated", "time"),
    [
        ("1793700000", "2026-11-03T10:00:00Z"),
        ("1793700000.25", "2026-11-03T10:00:00.25Z"),
        ("1793700000123", "2026-11-03T10:00:00.123Z"),
        ("1793700000123456", "2026-11-03T10:00:00.123456Z"),
        ("2026-11-03 10:00:00.1234567+00:00", "2026-11-03T10:00:00.123456Z"),
    ],
)
def test_times_are_iso_or_epoch_numbers_of_any_unit(stated, time):
    assert read(f"time,output_tokens\n{stated},1\n").events[0].event.time == parse_instant(time)


def test_with_only_an_end_the_start_is_derived():
    (decoded,) = read("end_time,latency_ms,output_tokens\n2026-11-03T10:15:00Z,1500,1\n").events
    assert (decoded.event.time, decoded.event.time_derived) == (parse_instant("2026-11-03T10:14:58.5Z"), True)


def test_a_row_without_counts_is_unknown_and_not_zero():
    (empty, zero) = read("time,output_tokens\n2026-11-03T10:15:00Z,\n2026-11-03T10:15:00Z,0\n").events
    assert (empty.event.quantity_grade, zero.event.quantity_grade) == (QuantityGrade.UNSTATED, QuantityGrade.UNSTATED)


def test_unmapped_columns_are_reported_or_kept_as_tags():
    block = read("time,output_tokens,team,prompt\n2026-11-03T10:15:00Z,1,core,the secret\n", tag_fields=("team",))
    assert block.events[0].event.tags == {"team": "core"}
    assert block.unread_fields == {"prompt": 1}


def test_times_of_a_repeated_or_skipped_hour_of_the_logs_zone_are_rejected():
    rows = "2026-10-25T01:30:00,m,1\n2026-10-25T02:30:00,m,1\n2026-03-29T02:30:00,m,1\n2026-10-25T02:30:00+01:00,m,1\n"
    block = read("time,model,output_tokens\n" + rows, model="", zone="Europe/Berlin")
    assert [format_instant(each.event.time) for each in block.events] == [
        "2026-10-24T23:30:00.000000Z",
        "2026-10-25T01:30:00.000000Z",
    ]
    assert [(each.code, each.field, each.position.line) for each in block.rejected] == [
        ("ambiguous_time", "time", 3),
        ("invalid_time", "time", 4),
    ]


GOOD = "2026-11-03T10:15:00Z,m,1"


@pytest.mark.parametrize(
    ("code", "field", "row"),
    [
        ("wrong_number_of_cells", None, b"2026-11-03T10:15:00Z,m"),
        ("wrong_number_of_cells", None, b"2026-11-03T10:15:00Z,m,1,1"),
        ("wrong_number_of_cells", None, b'2026-11-03T10:15:00Z,"m,1'),
        ("missing_time", "time", b",m,1"),
        ("naive_time", "time", b"2026-11-03T10:15:00,m,1"),
        ("invalid_time", "time", b"soon,m,1"),
        ("implausible_time", "time", b"1999-11-03T10:15:00Z,m,1"),
        ("missing_model", "model", b"2026-11-03T10:15:00Z,,1"),
        ("invalid_quantity", "output_tokens", b"2026-11-03T10:15:00Z,m,-1"),
        ("invalid_quantity", "output_tokens", b"2026-11-03T10:15:00Z,m,1.0"),
        ("invalid_quantity", "output_tokens", b"2026-11-03T10:15:00Z,m,nan"),
        ("invalid_quantity", "output_tokens", b"2026-11-03T10:15:00Z,m,99999999999999999999999"),
        ("invalid_quantity", "output_tokens", "2026-11-03T10:15:00Z,m,١٢".encode()),
        ("invalid_utf8", None, b"2026-11-03T10:15:00Z,\xff,1"),
        ("nul_byte", None, b"2026-11-03T10:15:00Z,\x00,1"),
        ("too_long", "model", b"2026-11-03T10:15:00Z," + b"x" * 256 + b",1"),
    ],
)
def test_one_bad_row_is_rejected_with_its_reason_and_the_rest_is_read(code, field, row):
    data = b"time,model,output_tokens\n" + b"\n".join([GOOD.encode(), row, *[GOOD.encode()] * 3])
    block = read(data, model="")
    assert len(block.events) == 4
    (rejected,) = block.rejected
    assert (rejected.code, rejected.field, rejected.position.line) == (code, field, 3)
    assert data[rejected.position.offset :].startswith(row)


@pytest.mark.parametrize(
    ("columns", "header", "message"),
    [
        (
            {"time": "TIMESTAMP", "output_tokens": "Out"},
            "TIMESTAMP,Output",
            "'Out' for output_tokens is not in.*TIMESTAMP, Output",
        ),
        ({"time": "a", "colour": "b"}, "a,b", "'colour' is not an event field"),
        ({"output_tokens": "a"}, "a,b", "no column for the time"),
        ({"time": "a"}, "a,b,a", "appears twice in"),
        ({}, "time,prompt_tokens,input_tokens", "map only one of them"),
        ({}, "time,\rinput_tokens", "not a CSV row"),
    ],
)
def test_an_invalid_header_is_refused_as_a_whole(columns, header, message):
    with pytest.raises(LogFormatError, match=message):
        read(f"{header}\n1,2\n", columns=columns)


def test_positions_count_lines_within_quoted_cells():
    data = b'time,project,output_tokens\n2026-11-03T10:15:00Z,"two\nlines",1\n2026-11-03T10:15:00Z,x,2\n'
    block = read(data)
    assert [(d.position.line, d.event.project) for d in block.events] == [(2, "two\nlines"), (4, "x")]
    last = block.events[-1].position
    assert data[last.offset : last.offset + last.length] == b"2026-11-03T10:15:00Z,x,2"


cells = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=12).map(str.strip)


@given(st.lists(st.tuples(cells, st.integers(0, 10**9)), max_size=8), st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t|"))
def test_rows_of_a_csv_writer_are_read_back(rows, ending, delimiter):
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=ending, delimiter=delimiter)
    writer.writerow(["time", "project", "output_tokens"])
    for project, count in rows:
        writer.writerow(["2026-11-03T10:15:00Z", project, count])
    block = read(out.getvalue())
    assert block.rejected == []
    assert [(d.event.project, d.event.quantities.output_tokens) for d in block.events] == rows
