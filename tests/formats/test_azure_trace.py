"""A production trace of 8,819 requests, read with a column map and replayed."""

import pytest

from metering.domain.instants import parse_instant
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.options import DecodeOptions
from support.places import DATA

TRACE = DATA / "azure" / "AzureLLMInferenceTrace_code.csv"

pytestmark = pytest.mark.skipif(not TRACE.exists(), reason=f"the Azure trace is not at {TRACE}")

START = parse_instant("2026-11-01T00:00:00Z")
OPTIONS = DecodeOptions(
    source="azure",
    now=parse_instant("2026-11-20T12:00:00Z"),
    model="meta-llama/Llama-3.3-70B-Instruct",
    provider="together",
    route="routed",
    zone="UTC",
    replay_from=START,
    columns={"time": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
)


def test_every_request_of_the_trace_is_read_and_its_tokens_add_up():
    block = BlockDecoder("csv", OPTIONS).decode(RawBlock(TRACE.read_bytes(), 1, 0))
    assert (len(block.events), block.rejected, block.unread_fields) == (8819, [], {})
    events = [decoded.event for decoded in block.events]
    assert sum(event.quantities.input_tokens for event in events) == 18_059_974
    assert sum(event.quantities.output_tokens for event in events) == 245_896
    assert events[0].time == START
    # The first time, 18:17:03.979960, and the last row's are truncated to microseconds; the shift keeps the trace's span.
    first, last = TRACE.read_text().splitlines()[1], TRACE.read_text().splitlines()[-1]
    span = parse_instant(last.split(",")[0] + "Z") - parse_instant(first.split(",")[0] + "Z")
    assert max(event.time for event in events) - START == span
    assert len({event.id for event in events}) == 8819


def test_the_trace_in_blocks_equals_the_trace_in_one_piece():
    lines = TRACE.read_bytes().splitlines(keepends=True)
    whole = BlockDecoder("csv", OPTIONS).decode(RawBlock(b"".join(lines), 1, 0))
    decoder = BlockDecoder("csv", OPTIONS)
    events = []
    for start in range(0, len(lines), 1000):
        offset = sum(map(len, lines[:start]))
        events += decoder.decode(RawBlock(b"".join(lines[start : start + 1000]), start + 1, offset)).events
    assert events == whole.events
