"""Logs with one stream chunk a line: grouped by response ID into one event each, wherever blocks and lines are cut."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.instants import parse_instant
from metering.domain.usage.events import QuantityGrade
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.open_streams import OpenStreams
from metering.formats.options import DecodeOptions
from pricing.quantities import Quantities

NOW = parse_instant("2026-11-20T12:00:00Z")
CREATED = 1_793_700_000
FIRST, SECOND = "chatcmpl-9f2c5d1e7a8b4c60", "chatcmpl-1b7e4d9a2c5f8063"


def chunk(response_id: str = FIRST, **changes: Any) -> dict[str, Any]:
    plain = {
        "id": response_id, "object": "chat.completion.chunk", "created": CREATED, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "secret words"}, "finish_reason": None}],
    }  # fmt: skip
    return {**plain, **changes}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def closing(response_id: str = FIRST, prompt: int = 40, completion: int = 7, **changes: Any) -> dict[str, Any]:
    return chunk(response_id, choices=[], usage=usage(prompt, completion), **changes)


def shown(block):
    assert block.rejected == []
    return [(d.event.id, d.event.quantities.input_tokens, d.event.quantities.output_tokens) for d in block.events]


def test_a_stream_is_one_event_at_its_first_line(decode):
    block = decode("openai", chunk(), chunk(usage=None), closing())
    assert shown(block) == [(FIRST, 40, 7)]
    (decoded,) = block.events
    assert (decoded.position.line, decoded.event.response_id, decoded.event.model) == (1, FIRST, "m")
    assert decoded.event.time == CREATED * 1_000_000
    assert b"secret words" not in msgspec.json.encode(block)


def test_streams_may_be_interleaved_with_each_other_and_with_whole_responses(decode):
    whole = {"id": "whole-response", "object": "chat.completion", "created": CREATED, "model": "m", "usage": usage(5, 1)}
    block = decode("openai", chunk(), chunk(SECOND), whole, closing(SECOND, 30, 3), chunk(), closing())
    assert shown(block) == [("whole-response", 5, 1), (FIRST, 40, 7), (SECOND, 30, 3)]
    assert [d.position.line for d in block.events] == [3, 1, 2]


def test_a_stream_without_usage_is_one_unstated_event_and_nothing_is_quarantined(decode):
    block = decode("openai", chunk(), chunk(), chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    (decoded,) = block.events
    assert (block.rejected, decoded.event.quantity_grade, decoded.event.failure) == ([], QuantityGrade.UNSTATED, "")


def test_running_totals_on_every_chunk_end_with_the_largest(decode):
    block = decode("openai", chunk(usage=usage(40, 1)), chunk(usage=usage(40, 4)), chunk(usage=usage(40, 9)))
    assert shown(block) == [(FIRST, 40, 9)]


def test_a_closing_chunk_of_zeros_takes_nothing_away(decode):
    block = decode("openai", chunk(), chunk(usage=usage(40, 9)), closing(prompt=0, completion=0))
    assert shown(block) == [(FIRST, 40, 9)]


def test_groqs_usage_is_read_from_its_own_field(decode):
    groq = chunk(x_groq={"id": "req_1", "usage": {**usage(23, 19), "queue_time": 0.07}})
    block = decode("openai", chunk(x_groq={"id": "req_1"}), groq)
    assert shown(block) == [(FIRST, 23, 19)]


def test_an_error_in_a_chunk_makes_a_failure(decode):
    block = decode("openai", chunk(), chunk(error={"code": "server_overloaded", "message": "secret words"}))
    (decoded,) = block.events
    assert decoded.event.failure == "server_overloaded"
    block = decode("openai", chunk(), {"error": {"type": "engine_error", "message": "secret words"}})
    assert [d.event.failure for d in block.events] == ["engine_error"]
    assert b"secret words" not in msgspec.json.encode(block)


RESPONSES = [
    {"type": "response.created", "sequence_number": 0,
     "response": {"id": "resp_67ccd2bed1ec8190", "object": "response", "created_at": CREATED, "model": "m", "usage": None}},
    {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "delta": "secret words"},
    {"type": "response.completed", "sequence_number": 2,
     "response": {"id": "resp_67ccd2bed1ec8190", "object": "response", "created_at": CREATED, "model": "m",
                  "status": "completed",
                  "usage": {"input_tokens": 90, "input_tokens_details": {"cached_tokens": 30}, "output_tokens": 4,
                            "total_tokens": 94}}},
]  # fmt: skip


def test_events_of_the_responses_api_are_one_event(decode):
    block = decode("openai", *RESPONSES)
    (decoded,) = block.events
    assert block.rejected == []
    assert decoded.event.quantities == Quantities(input_tokens=60, cache_read_tokens=30, output_tokens=4)
    assert (decoded.event.id, decoded.event.time) == ("resp_67ccd2bed1ec8190", CREATED * 1_000_000)


def test_a_response_that_failed_says_so(decode):
    failed = {
        "id": "resp_67ccd2bed1ec8190",
        "status": "failed",
        "error": {"code": "server_error", "message": "x"},
        "usage": None,
    }
    block = decode("openai", RESPONSES[0], {"type": "response.failed", "response": failed})
    (decoded,) = block.events
    assert (decoded.event.failure, decoded.event.quantity_grade) == ("server_error", QuantityGrade.UNSTATED)


def test_anthropic_events_are_one_event_though_only_the_first_has_an_id(decode):
    def logged(event):
        return {"time": "2026-11-03T10:15:00Z", "response": event}

    start = {"type": "message_start", "message": {
        "id": "msg_014p7gG3wDgGV9EUtLvnow3U", "type": "message", "model": "m",
        "usage": {"input_tokens": 9, "cache_read_input_tokens": 3, "output_tokens": 1}}}  # fmt: skip
    block = decode(
        "openai",
        logged(start),
        logged({"type": "content_block_delta", "index": 0, "delta": {"text": "secret words"}}),
        logged(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 0, "output_tokens": 12}}
        ),
        logged({"type": "message_stop"}),
    )
    (decoded,) = block.events
    assert block.rejected == []
    assert decoded.event.quantities == Quantities(input_tokens=9, cache_read_tokens=3, output_tokens=12)
    assert decoded.event.id == "msg_014p7gG3wDgGV9EUtLvnow3U"


def test_text_completions_are_grouped_too(decode):
    first = {"id": "cmpl-4f2a9c1e7b3d5860", "object": "text_completion", "created": CREATED, "model": "m",
             "choices": [{"index": 0, "text": "secret words", "finish_reason": None}], "usage": None}  # fmt: skip
    last = {**first, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "usage": usage(6, 2)}
    block = decode("openai", first, first, {**last, "choices": []})
    assert shown(block) == [("cmpl-4f2a9c1e7b3d5860", 6, 2)]
    assert shown(decode("openai", last)) == [("cmpl-4f2a9c1e7b3d5860", 6, 2)]


def test_chunks_in_a_loggers_records_keep_what_the_logger_says(decode):
    def logged(answer, **fields):
        request = {
            "url": "https://router.huggingface.co/together/v1/chat/completions",
            "body": {"model": "asked", "stream": True},
        }
        return {
            "id": "log-1",
            "time": "2026-11-03T10:15:00Z",
            "account": "acme",
            "request": request,
            "response": answer,
            **fields,
        }

    block = decode("openai", logged(chunk()), logged(closing()))
    (decoded,) = block.events
    assert (decoded.event.id, decoded.event.account, decoded.event.provider) == ("log-1", "acme", "together")
    assert (decoded.event.model, decoded.event.response_id) == ("asked", FIRST)
    numbered = decode("openai", logged(chunk(), id="line-1"), logged(closing(), id="line-2"))
    assert shown(numbered) == [(FIRST, 40, 7)]


def test_two_responses_with_one_short_id_are_two_events(decode):
    stop = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    one = [chunk("chatcmpl-424"), chunk("chatcmpl-424", choices=stop), closing("chatcmpl-424", 10, 1)]
    two = [chunk("chatcmpl-424"), chunk("chatcmpl-424", choices=stop), closing("chatcmpl-424", 20, 2)]
    events = [d.event for d in decode("openai", *one, *two).events]
    assert [(e.quantities.input_tokens, e.quantities.output_tokens) for e in events] == [(10, 1), (20, 2)]
    assert len({e.id for e in events}) == 2


def test_only_the_last_chunks_of_requests_stay_requests_of_their_own(decode):
    def logged(number):
        return {"id": f"log-{number}", "time": f"2026-11-03T10:1{number}:00Z", "request": {"body": {"model": "m"}},
                "response": {"status": 200, "body": closing("chatcmpl-static-1", 10 * number, number)}}  # fmt: skip

    assert shown(decode("openai", logged(1), logged(2))) == [("log-1", 10, 1), ("log-2", 20, 2)]


def test_a_stream_that_says_no_time_is_one_rejected_record(decode):
    block = decode("openai", chunk(created=None), closing(created=None))
    assert [(r.code, r.position.line) for r in block.rejected] == [("missing_time", 1)]
    assert block.rejected[0].kept == {"id": FIRST, "model": "m"}


def test_the_lines_of_a_recorded_stream_are_read_as_its_chunks():
    lines = [
        "event: message",
        f"data: {json.dumps(chunk())}",
        "",
        f"data: {json.dumps(closing())}",
        "",
        ": ping",
        "data: [DONE]",
    ]
    block = BlockDecoder("openai", DecodeOptions(source="s", now=NOW)).decode_whole("\n".join(lines).encode())
    assert shown(block) == [(FIRST, 40, 7)]


def test_an_array_of_chunks_is_grouped_as_well():
    data = json.dumps([chunk(), closing()]).encode()
    block = BlockDecoder("openai", DecodeOptions(source="s", now=NOW)).decode_document(data)
    assert shown(block) == [(FIRST, 40, 7)]


def test_memory_is_bounded_and_the_stream_that_waited_longest_is_complete():
    decoder = BlockDecoder("openai", DecodeOptions(source="s", now=NOW))
    decoder._streams = OpenStreams(limit=2)
    lines = [chunk(f"chatcmpl-{number:016x}9abcdef", choices=[], usage=usage(number + 1, 1)) for number in range(5)]
    block = decoder.decode(RawBlock(b"".join(json.dumps(line).encode() + b"\n" for line in lines), 1, 0))
    assert [d.event.quantities.input_tokens for d in block.events] == [1, 2, 3]
    assert [d.event.quantities.input_tokens for d in decoder.finish().events] == [4, 5]
    assert decoder.finish().events == []


@st.composite
def chunk_logs(draw: st.DrawFn) -> tuple[list[list[dict[str, Any]]], list[int], set[int]]:
    """Streams of chunks, an order that interleaves them, and where the log is cut into blocks."""
    streams = []
    for number in range(draw(st.integers(1, 3))):
        response_id = f"chatcmpl-{number}f9c2b7e4d1a8065"
        running = draw(st.booleans())
        chunks = [
            chunk(response_id, **({"usage": usage(40, count)} if running else {}))
            for count in range(1, draw(st.integers(1, 4)))
        ]
        if draw(st.booleans()) or not chunks:
            chunks.append(closing(response_id, 40, 9))
        streams.append(chunks)
    order = [number for number, chunks in enumerate(streams) for _ in chunks]
    return streams, draw(st.permutations(order)), draw(st.sets(st.integers(0, len(order)), max_size=4))


@given(chunk_logs())
def test_cutting_a_chunk_log_into_blocks_and_interleaving_its_streams_changes_nothing(log):
    streams, order, cuts = log
    waiting = [list(chunks) for chunks in streams]
    lines = [json.dumps(waiting[number].pop(0)).encode() + b"\n" for number in order]
    decoder = BlockDecoder("openai", DecodeOptions(source="s", now=NOW))
    events, start = [], 0
    for end in [*sorted(cuts), len(lines)]:
        data = b"".join(lines[start:end])
        events += decoder.decode(RawBlock(data, start + 1, sum(map(len, lines[:start])))).events
        start = end
    events += decoder.finish().events
    apart = [
        decoded
        for chunks in streams
        for decoded in BlockDecoder("openai", DecodeOptions(source="s", now=NOW))
        .decode_whole(b"".join(json.dumps(each).encode() + b"\n" for each in chunks))
        .events
    ]
    assert sorted(d.event.id for d in events) == sorted(d.event.id for d in apart)
    assert {d.event.id: (d.event, d.fingerprint) for d in events} == {d.event.id: (d.event, d.fingerprint) for d in apart}


@given(st.permutations([chunk(), chunk(usage=usage(40, 3)), closing(), chunk(usage={"prompt_tokens": 0})]))
def test_the_order_of_a_streams_chunks_does_not_change_its_event(chunks):
    data = b"".join(json.dumps(each).encode() + b"\n" for each in chunks)
    block = BlockDecoder("openai", DecodeOptions(source="s", now=NOW)).decode_whole(data)
    assert shown(block) == [(FIRST, 40, 7)]


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "response.done", "message_delta"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["id", "object", "type", "choices", "usage", "response", "message", "error", "created", "model", "request",
             "status", "x_groq", "index", "finish_reason", "delta", "time", "cache_hit", "data", "body", "prompt_tokens",
             "meta"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize(
    "kind", [{"object": "chat.completion.chunk"}, {"type": "message_start"}, {"object": "text_completion"}, {}]
)
@given(records=st.lists(odd, max_size=4))
def test_no_record_breaks_the_reader(kind, records):
    lines = [json.dumps({**each, **kind} if isinstance(each, dict) else each) for each in records]
    block = BlockDecoder("openai", DecodeOptions(source="s", now=NOW)).decode_whole("\n".join(lines).encode())
    assert len(block.events) + len(block.rejected) <= len(lines)


def test_an_override_applies_to_streams_as_to_whole_responses(decode):
    block = decode("openai", chunk(), closing(), model="other", provider="groq", override=("model", "provider"))
    assert [(d.event.model, d.event.provider) for d in block.events] == [("other", "groq")]
