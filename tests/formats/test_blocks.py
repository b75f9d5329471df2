"""Blocks: their boundaries do not affect the result, and records without an ID get one from their bytes."""

import json
import pickle
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.errors import DomainError, InvalidTimeError, LogFormatError, RecordError
from metering.domain.instants import parse_instant
from metering.domain.usage.events import DecodedEvent, RejectedRecord
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.options import DecodeOptions

NOW = parse_instant("2026-11-20T12:00:00Z")
OPTIONS = DecodeOptions(source="log", now=NOW)


def record(**changes: Any) -> dict[str, Any]:
    return {"id": "a", "time": "2026-11-03T10:15:00Z", "model": "m", "usage": {"output_tokens": 1}, **changes}


NATIVE_LINES = [
    b"\n",
    b"  \r\n",
    json.dumps(record()).encode() + b"\r\n",
    json.dumps(record(id=None)).encode() + b"\n",
    json.dumps(record(id="late", time="2026-11-03T10:16:00Z", extra=1)).encode() + b"\n",
    b"{broken\n",
]
CSV_LINES = [
    b"2026-11-03T10:15:00Z,m,1\r\n",
    b'2026-11-03T10:16:00Z,"m ""x""",2\n',
    b"\n",
    b"2026-11-03T10:17:00Z,m\n",
    b"2026-11-03T10:17:00Z,m,-3\n",
]


def in_blocks(log_format: str, lines: list[bytes], cuts: set[int], options: DecodeOptions) -> tuple[Any, Any, Any]:
    decoder = BlockDecoder(log_format, options)
    events: list[DecodedEvent] = []
    rejected: list[RejectedRecord] = []
    unread: dict[str, int] = {}
    start = 0
    for end in [*sorted(cuts), len(lines)]:
        data = b"".join(lines[start:end])
        block = decoder.decode(RawBlock(data, start + 1, sum(map(len, lines[:start]))))
        events += block.events
        rejected += block.rejected
        for name, count in block.unread_fields.items():
            unread[name] = unread.get(name, 0) + count
        start = end
    return events, rejected, unread


@st.composite
def cut_logs(draw: st.DrawFn) -> tuple[str, list[bytes], set[int], int | None]:
    log_format = draw(st.sampled_from(["native", "csv"]))
    lines = draw(st.lists(st.sampled_from(NATIVE_LINES if log_format == "native" else CSV_LINES), max_size=12))
    if log_format == "csv":
        lines = [b"time,model,output_tokens\n", *lines]
    if len(lines) > 0 and draw(st.booleans()):
        lines[-1] = lines[-1].rstrip(b"\r\n") or b"x"
    cuts = draw(st.sets(st.integers(0, len(lines)), max_size=6))
    return log_format, lines, cuts, draw(st.none() | st.just(parse_instant("2026-10-01T00:00:00Z")))


@given(cut_logs())
def test_block_boundaries_do_not_affect_the_result(log):
    log_format, lines, cuts, replay_from = log
    options = DecodeOptions(source="log", now=NOW, replay_from=replay_from)
    assert in_blocks(log_format, lines, cuts, options) == in_blocks(log_format, lines, set(), options)


def test_every_position_locates_the_bytes_of_its_record():
    data = b"\xef\xbb\xbf" + b"".join(NATIVE_LINES)
    block = BlockDecoder("native", OPTIONS).decode(RawBlock(data, 1, 0))
    lines = [d.position.line for d in block.events]
    assert lines == [3, 4, 5]
    decoded: list[DecodedEvent | RejectedRecord] = [*block.events, *block.rejected]
    for found in decoded:
        raw = data[found.position.offset : found.position.offset + found.position.length]
        assert raw == NATIVE_LINES[found.position.line - 1].strip()
    (rejected,) = block.rejected
    assert rejected.digest == blake2b(b"{broken", digest_size=16).hexdigest()


def test_a_record_without_an_id_gets_one_from_its_bytes_and_ordinal():
    line = json.dumps(record(id=None)).encode()
    other = json.dumps(record(id=None, model="other")).encode()
    decoder = BlockDecoder("native", OPTIONS)
    first = decoder.decode(RawBlock(b"\n".join([line, other, line, b""]), 1, 0))
    second = decoder.decode(RawBlock(line, 4, 10_000))
    digest, others = (blake2b(raw, digest_size=16).hexdigest() for raw in (line, other))
    assert [d.event.id for d in first.events] == [f"{digest}-0", f"{others}-0", f"{digest}-1"]
    assert [d.event.id for d in second.events] == [f"{digest}-2"]


def test_ordinals_can_be_supplied():
    calls = []

    def ordinals(digests):
        calls.append(list(digests))
        return [7 for _ in digests]

    line = json.dumps(record(id=None)).encode()
    block = BlockDecoder("native", OPTIONS, ordinals).decode(RawBlock(line, 1, 0))
    digest = blake2b(line, digest_size=16).hexdigest()
    assert (calls, block.events[0].event.id) == ([[digest]], f"{digest}-7")


def test_a_truncated_last_line_is_distinguished_from_a_bad_one():
    good, cut = json.dumps(record()).encode(), b'{"id": "b", "time": "2026-11-0'
    assert [r.code for r in _rejected(good + b"\n" + cut)] == ["truncated_line"]
    assert [r.code for r in _rejected(good + b"\n" + cut + b"\n")] == ["not_json"]
    assert [r.code for r in _rejected(cut + b"\n" + good)] == ["not_json"]
    assert [r.code for r in _rejected(good + b"\nhello")] == ["not_json"]


def test_an_object_over_several_lines_is_rejected_and_affects_no_other():
    spread = b'{"id": "x",\n"time": "2026-11-03T10:15:00Z", "model": "m"}\n'
    good = json.dumps(record()).encode() + b"\n"
    block = BlockDecoder("native", OPTIONS).decode(RawBlock(good + spread + good, 1, 0))
    assert [d.position.line for d in block.events] == [1, 4]
    assert [r.code for r in block.rejected] == ["not_json", "not_json"]


def test_two_objects_on_one_line_are_refused():
    data = json.dumps(record()).encode() * 2 + b"\n"
    assert [r.code for r in _rejected(data)] == ["not_json"]


def test_a_replay_shifts_every_time_like_the_first_valid_record():
    lines = [
        record(time="2023-11-16T18:00:00Z", status=1),  # rejected, so it does not set the shift
        record(time="2023-11-16T18:17:04Z", id="first"),
        record(time="2023-11-16T18:17:03Z", id="earlier"),
        record(time="2023-11-16T19:17:04Z", id="later"),
    ]
    data = b"\n".join(json.dumps(line).encode() for line in lines)
    options = DecodeOptions(source="log", now=NOW, replay_from=parse_instant("2026-11-01T00:00:00Z"))
    block = BlockDecoder("native", options).decode(RawBlock(data, 1, 0))
    assert [(d.event.id, d.event.time) for d in block.events] == [
        ("first", parse_instant("2026-11-01T00:00:00Z")),
        ("earlier", parse_instant("2026-10-31T23:59:59Z")),
        ("later", parse_instant("2026-11-01T01:00:00Z")),
    ]


def test_plausibility_is_checked_after_the_shift():
    options = DecodeOptions(source="log", now=NOW, replay_from=parse_instant("2026-11-20T00:00:00Z"))
    lines = [record(time="2010-01-01T00:00:00Z"), record(time="2010-01-05T00:00:00Z")]
    block = BlockDecoder("native", options).decode(RawBlock(b"\n".join(json.dumps(r).encode() for r in lines), 1, 0))
    assert len(block.events) == 1
    assert [r.code for r in block.rejected] == ["implausible_time"]


def test_one_bad_item_of_an_array_does_not_affect_the_others():
    items = [record(), {"id": "x"}, record(id="c"), 5]
    data = b"\xef\xbb\xbf \n" + json.dumps(items, indent=2).encode() + b"\n"
    block = BlockDecoder("native", OPTIONS).decode_document(data)
    assert [(d.position.line, d.event.id) for d in block.events] == [(0, "a"), (2, "c")]
    assert [(r.position.line, r.code) for r in block.rejected] == [(1, "missing_time"), (3, "not_an_object")]
    decoded: list[DecodedEvent | RejectedRecord] = [*block.events, *block.rejected]
    for found in decoded:
        raw = data[found.position.offset : found.position.offset + found.position.length]
        assert json.loads(raw) == items[found.position.line]


def test_one_object_may_span_lines_in_a_document():
    data = json.dumps(record(), indent=2).encode()
    block = BlockDecoder("native", OPTIONS).decode_document(data + b"\n")
    assert [(d.position.line, d.event.id) for d in block.events] == [(0, "a")]


def test_a_document_that_is_not_json_is_refused_as_a_whole():
    whole = json.dumps(record(), indent=2).encode()
    for data in (whole[:-4], b"{", b"hello", b"", b'{"a": "\xff"}'):
        with pytest.raises(LogFormatError) as refused:
            BlockDecoder("native", OPTIONS).decode_document(data)
        assert refused.value.code == "not_json"


def test_a_column_map_is_refused_for_other_formats():
    options = DecodeOptions(source="log", now=NOW, columns={"time": "T"})
    for log_format in ("native", "openai"):
        with pytest.raises(DomainError, match="only for CSV"):
            BlockDecoder(log_format, options)
    BlockDecoder("csv", options)


@pytest.mark.parametrize("name", ["source", "account", "provider", "model", "operation", "project", "key"])
def test_options_are_bound_like_the_fields_of_records(name):
    given: dict[str, Any] = {"source": "log", "now": NOW}
    BlockDecoder("native", DecodeOptions(**given | {name: "x" * 255}))
    for text, message in (("x" * 256, "at most 255 characters"), ("a\0b", r"U\+0000"), ("a\tb", r"U\+0009")):
        with pytest.raises(DomainError, match=message):
            BlockDecoder("native", DecodeOptions(**given | {name: text}))


def test_nan_in_one_item_of_an_array_rejects_only_that_item():
    data = json.dumps([record(), record(id="b", usage={"output_tokens": float("nan")}), record(id="c")]).encode()
    block = BlockDecoder("native", OPTIONS).decode_document(data)
    assert [d.event.id for d in block.events] == ["a", "c"]
    assert [(r.code, r.field) for r in block.rejected] == [("invalid_quantity", "usage.output_tokens")]


def test_the_same_content_has_the_same_fingerprint_and_different_content_does_not():
    lines = [record(), record(project="other", tags={"a": "b"}), record(status=200), record(usage={"output_tokens": 2})]
    data = b"\n".join(json.dumps(line).encode() for line in lines)
    prints = [d.fingerprint for d in BlockDecoder("native", OPTIONS).decode(RawBlock(data, 1, 0)).events]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_unread_fields_are_bounded_in_number_and_length():
    lines = [record(id=str(i), **{f"{i:03d}" + "x" * 100: 1}) for i in range(150)]
    data = b"\n".join(json.dumps(line).encode() for line in lines)
    unread = BlockDecoder("native", OPTIONS).decode(RawBlock(data, 1, 0)).unread_fields
    assert len(unread) == 101
    assert unread["(other)"] == 50
    assert max(map(len, unread)) == 64


def test_an_unknown_format_zone_or_route_is_refused_before_reading():
    with pytest.raises(LogFormatError, match="native, openai or csv"):
        BlockDecoder("xml", OPTIONS)
    for zone in ("Mars/Olympus", "../etc/passwd", "Europe"):
        with pytest.raises(InvalidTimeError, match="IANA"):
            BlockDecoder("native", DecodeOptions(source="log", now=NOW, zone=zone))
    with pytest.raises(RecordError, match="route must be"):
        BlockDecoder("native", DecodeOptions(source="log", now=NOW, route="sideways"))


def test_options_can_be_passed_to_another_process():
    options = DecodeOptions(source="log", now=NOW, columns={"time": "T"}, tag_fields=("a",), replay_from=5)
    assert pickle.loads(pickle.dumps(options)) == options


def _rejected(data: bytes) -> list[RejectedRecord]:
    return BlockDecoder("native", OPTIONS).decode(RawBlock(data, 1, 0)).rejected


def test_a_record_on_the_slow_path_is_shifted_and_checked_like_others():
    start = parse_instant("2026-11-19T00:00:00Z")
    lines = [
        record(extra=1),
        record(id="b", extra=1, time="2026-11-03T10:15:01Z"),
        record(id="c", extra=1, time="2026-11-08T10:15:00Z"),
    ]
    data = b"\n".join(json.dumps(line).encode() for line in lines)
    options = DecodeOptions(source="log", now=NOW, replay_from=start)
    block = BlockDecoder("native", options).decode(RawBlock(data, 1, 0))
    assert [d.event.time - start for d in block.events] == [0, 1_000_000]
    assert [r.code for r in block.rejected] == ["implausible_time"]
