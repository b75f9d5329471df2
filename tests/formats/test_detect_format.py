"""The format of a log is detected from its head, or the user is asked."""

import json

import pytest

from metering.domain.errors import LogFormatError
from metering.formats.detect import detect_format

NATIVE = {"id": "a", "time": "2026-11-03T10:15:00Z", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 2}}
OPENAI = {"id": "a", "object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 1}}
PAIR = {"time": "2026-11-03T10:15:00Z", "request": {"body": {"model": "m"}}, "response": {"status": 200}}
ANTHROPIC = {"id": "a", "type": "message", "model": "m", "usage": {"input_tokens": 1, "cache_read_input_tokens": 2}}


def lines(*records) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (lines(NATIVE, NATIVE), "a.log", ("native", "lines")),
        (lines(NATIVE), "a.json", ("native", "lines")),
        (lines(OPENAI), "a.ndjson", ("openai", "lines")),
        (lines(PAIR), "-", ("openai", "lines")),
        (lines(ANTHROPIC), "-", ("openai", "lines")),
        (b"\xef\xbb\xbf\n" + lines(NATIVE), "-", ("native", "lines")),
        (b"{broken\n" + lines(NATIVE), "-", ("native", "lines")),
        (lines({"a": 1}, NATIVE), "-", ("native", "lines")),
        (json.dumps([NATIVE, NATIVE]).encode(), "-", ("native", "document")),
        (json.dumps([OPENAI], indent=2).encode(), "-", ("openai", "document")),
        (json.dumps(NATIVE, indent=2).encode(), "-", ("native", "document")),
        (json.dumps(OPENAI, indent=2).encode(), "-", ("openai", "document")),
        (json.dumps([{**OPENAI, "choices": ["long " * 20_000]}]).encode()[:65_536], "-", ("openai", "document")),
        (json.dumps({**PAIR, "x": "long " * 20_000}).encode()[:65_536], "a.jsonl", ("openai", "lines")),
        (json.dumps({**OPENAI, "x": "long " * 20_000}).encode()[:65_536], "a.json", ("openai", "document")),
        (b"id,time,model,output_tokens\n", "a.csv", ("csv", "lines")),
        (b"time;model;output_tokens\r\n", "-", ("csv", "lines")),
    ],
)
def test_the_format_of_a_log_is_detected(head, name, expected):
    assert detect_format(head, name) == expected


def test_with_a_column_map_the_log_is_csv():
    head = b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    assert detect_format(head, "trace.csv", columns={"time": "TIMESTAMP"}) == ("csv", "lines")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"\x1f\x8b\x08", "compressed"),
        ("hello".encode("utf-16"), "UTF-16"),
        (b'{"a": 1}\n', "fields: a.*--format"),
        (b'{"a": 1,', "--format"),
        (b"TIMESTAMP,ContextTokens,GeneratedTokens\n", "ContextTokens.*--map"),
        (b"id,model,output_tokens\n", "no column for the time"),
        (b"just some words\n", "neither JSON nor CSV.*--format"),
    ],
)
def test_a_log_of_unknown_format_is_refused_with_advice(head, message):
    with pytest.raises(LogFormatError, match=message):
        detect_format(head, "a.log")
