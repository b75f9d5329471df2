"""What is read from a stream, and passed on of it, does not depend on how the network splits it."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from metering.sidecar.stream_events import StreamEvents
from support.canned_answers import CHAT_USAGE, MESSAGES_USAGE, chat_chunks, messages_events, responses_events, sse

USAGE_ONLY = sse({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": CHAT_USAGE})
WITH_WORD = sse({"id": "c", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}], "usage": CHAT_USAGE})
EMPTY_CHOICES = sse({"id": "c", "choices": [], "prompt_filter_results": []})
NULL_USAGE = sse({"id": "c", "choices": [], "usage": None})
IN_TEXT = sse({"id": "c", "choices": [{"index": 0, "delta": {"content": '{"choices":[],"usage":{"a":1}}'}}]})
FAILED = sse({"error": {"code": "server_error", "message": "secret"}})
COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"
EVENTS = [USAGE_ONLY, WITH_WORD, EMPTY_CHOICES, NULL_USAGE, IN_TEXT, FAILED, COMMENT, DONE, b"\n", b"\r\n", b"data: \xff{\n\n"]


def windows(events):
    return [event.replace(b"\n", b"\r\n") for event in events]


streams = st.lists(
    st.sampled_from([*EVENTS, *windows(EVENTS), *chat_chunks(), *messages_events(), *responses_events()]), max_size=12
)
ends = st.sampled_from([b"", b"data: {", USAGE_ONLY.rstrip(b"\n"), USAGE_ONLY[:-1], b": comment"])


def read(pieces, *, hides_usage):
    """Return (what is passed on, what is stated, whether it is partial, the text's size)."""
    events = StreamEvents(hides_usage=hides_usage)
    passed = [events.feed(piece) for piece in pieces]
    passed.append(events.finish())
    return b"".join(passed), events.body, events.is_partial, events.text_bytes, events.events


def pieces_of(stream, cuts):
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [piece for piece in (stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)) if piece]


@given(streams, ends, st.lists(st.integers(0, 20_000), max_size=30), st.booleans())
@example([USAGE_ONLY, b"\n", USAGE_ONLY], b"", [len(USAGE_ONLY)], True)
@example([b"\n", USAGE_ONLY, DONE], b"", [0], True)
@example([*windows([USAGE_ONLY, WITH_WORD]), USAGE_ONLY], b"", list(range(0, 700, 3)), True)
def test_any_splitting_of_a_stream_gives_the_same_statements_and_the_same_bytes(events, end, cuts, hides_usage):
    stream = b"".join(events) + end
    whole = read([stream] if stream else [], hides_usage=hides_usage)
    assert read(pieces_of(stream, cuts), hides_usage=hides_usage)[:3] == whole[:3]
    assert read([stream[i : i + 1] for i in range(len(stream))], hides_usage=hides_usage)[:3] == whole[:3]


@given(streams, ends, st.lists(st.integers(0, 20_000), max_size=30))
def test_nothing_is_hidden_from_a_client_that_asked_for_the_usage(events, end, cuts):
    stream = b"".join(events) + end
    assert read(pieces_of(stream, cuts), hides_usage=False)[0] == stream


@given(streams, st.lists(st.integers(0, 20_000), max_size=30))
def test_only_the_chunk_with_nothing_but_the_usage_is_hidden(events, cuts):
    hidden = {USAGE_ONLY, *windows([USAGE_ONLY]), *(each for each in chat_chunks() if b'"choices": []' in each)}
    hidden |= {each for each in events if b'"choices": []' in each and b'"usage": {' in each}
    stream = b"".join(events)
    assert read(pieces_of(stream, cuts), hides_usage=True)[0] == b"".join(each for each in events if each not in hidden)


def test_text_that_looks_like_a_usage_chunk_is_text():
    assert read([IN_TEXT, DONE], hides_usage=True)[0] == IN_TEXT + DONE


def test_a_usage_chunk_at_the_end_without_its_empty_line_is_hidden_too():
    passed, body, *_ = read([WITH_WORD, USAGE_ONLY.rstrip(b"\n")], hides_usage=True)
    assert passed == WITH_WORD
    assert body["usage"] == CHAT_USAGE


def test_an_event_is_passed_on_as_soon_as_it_is_complete():
    events = StreamEvents(hides_usage=True)
    assert events.feed(WITH_WORD[:-1]) == b""
    assert events.feed(WITH_WORD[-1:] + b"data: {") == WITH_WORD
    assert events.feed(b"}\n\n") == b"data: {}\n\n"


def test_an_event_that_does_not_end_is_passed_on_before_it_fills_the_memory():
    events = StreamEvents(hides_usage=True)
    passed = sum(len(events.feed(b"x" * 65_536)) for _ in range(200))
    assert passed >= 8 * 1024 * 1024


def test_a_stream_states_what_its_chunks_state():
    _, body, is_partial, *_ = read(chat_chunks(null_usage=True), hides_usage=True)
    assert (body["usage"], body["choices"], is_partial) == (CHAT_USAGE, [{"finish_reason": "stop"}], False)
    _, body, is_partial, *_ = read(messages_events(), hides_usage=False)
    assert (body["usage"], is_partial) == (MESSAGES_USAGE, False)
    _, body, *_ = read([FAILED], hides_usage=False)
    assert body["error"]["code"] == "server_error"


def test_an_error_event_of_the_responses_api_is_an_error():
    created = sse({"type": "response.created", "response": {"id": "resp_1"}}, "response.created")
    failed = sse({"type": "error", "code": "server_error", "message": "secret", "param": None}, "error")
    assert read([created, failed], hides_usage=False)[1]["error"]["code"] == "server_error"


def test_the_usage_that_a_stream_begins_with_is_partial():
    begun, *rest = messages_events()
    assert read([begun], hides_usage=False)[2]
    assert read([begun, *rest[:5]], hides_usage=False)[2]
    assert not read([begun, *rest], hides_usage=False)[2]


def test_the_text_is_the_size_of_the_chunks_less_the_smallest_one_each():
    def chunk(word):
        return sse({"choices": [{"index": 0, "delta": {"content": word}}]})

    # The first event counts for nothing. Of the others, the smallest has no text, and the end of the stream is no chunk.
    events = [chunk("not counted"), chunk("four"), chunk("eleven char"), chunk(""), DONE]
    for pieces in (events, [b"".join(events)], [event.replace(b"\n", b"\r\n") for event in events]):
        *_, text_bytes, chunks = read(pieces, hides_usage=False)
        assert (text_bytes, chunks) == (4 + 11, 3)
    *_, text_bytes, chunks = read(
        [b"event: ping\ndata: {}\n\n"]
        + [
            sse({"type": "content_block_delta", "delta": {"text": word}}, "content_block_delta")
            for word in ("a", "abc", "abcde")
        ],
        hides_usage=False,
    )
    assert (text_bytes, chunks) == (2 + 4, 3)


def test_nothing_of_the_text_is_kept():
    _, body, *_ = read([sse({"id": "c", "choices": [{"delta": {"content": "secret"}}]}), FAILED], hides_usage=True)
    body.pop("error")
    assert "secret" not in json.dumps(body)


@given(
    events=st.lists(
        st.sampled_from(
            [
                b'data: {"choices":[{"delta":{"content":"a word"}}]}\n\n',
                b'data: {"choices":[{"delta":{"content":"w"}}]}\n\n',
                b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n\n',
                b'data: {"choices":[{"delta":{"content":"y"}}]}\r\n\r\n',
                b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n',
                b'data: {"a":1}\n\n',
                b'event: delta\ndata: {"text":"some words"}\n\n',
                b": ping\n\n",
                DONE,
            ]
        ),
        max_size=8,
    ),
    hides_usage=st.booleans(),
)
def test_events_that_arrive_one_by_one_are_read_like_the_whole_stream(events, hides_usage):
    one_by_one, at_once = StreamEvents(hides_usage=hides_usage), StreamEvents(hides_usage=hides_usage)
    passed = b"".join(map(one_by_one.feed, events)) + one_by_one.finish()
    assert passed == at_once.feed(b"".join(events)) + at_once.finish()
    for name in ("body", "text_bytes", "events", "is_partial"):
        assert getattr(one_by_one, name) == getattr(at_once, name)
