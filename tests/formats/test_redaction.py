"""What people see of a raw record never has content in it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from metering.formats.redaction import redacted_json, redacted_row

SECRET = "s3cret-words"
RECORD = {
    "id": "chatcmpl-1",
    "model": "llama",
    "created": 1_793_699_000,
    "messages": [{"role": "user", "content": SECRET, "weight": 3}],
    "choices": [{"message": {"content": SECRET}, "logprobs": [1, 2]}],
    "note": SECRET,
    "headers": {"authorization": f"Bearer {SECRET}"},
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
    "meta": {"team": SECRET, "size": 4},
}


def test_what_identifies_and_measures_is_shown_and_all_other_text_is_hidden():
    text = redacted_json(json.dumps(RECORD).encode())
    assert (
        json.loads(text.removesuffix("…")) if not text.endswith("…") else text.startswith('{"id":"chatcmpl-1","model":"llama"')
    )
    assert SECRET not in text
    assert '"messages":"(an array, hidden)"' in text


def test_numbers_outside_of_content_help_to_find_the_paths():
    text = redacted_json(json.dumps({"usage": {"in": 12, "out": 3}, "who": SECRET}).encode())
    assert text == '{"usage":{"in":12,"out":3},"who":"…"}'


def test_a_text_that_the_user_mapped_is_shown():
    record = {"req": {"engine": "llama", "ask": SECRET}}
    assert redacted_json(json.dumps(record).encode(), ["req.engine"]) == '{"req":{"engine":"llama","ask":"…"}}'
    assert redacted_json(json.dumps({"data": {"model": "llama", "body": SECRET}}).encode(), ["data.model"]) == (
        '{"data":{"model":"llama","body":"…"}}'
    )


def test_what_is_no_json_is_only_counted():
    assert redacted_json(f"{SECRET}".encode()) == "(12 bytes, not_json)"


def test_a_row_shows_numbers_and_known_columns():
    text = redacted_row(f"llama,12,{SECRET},2026".encode(), ["model", "n", "question", "prompt"], ",")
    assert text == "model=llama, n=12, question=…, prompt=…"
    assert redacted_row(b"1,2", ["a"], ",") == "(3 bytes, 2 cells)"


names = st.sampled_from(["messages", "content", "q", "0", "text", "ask", "output", "tool_calls", "n"])
leaves = st.sampled_from([SECRET, f"x {SECRET} y", 7, None, True])
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(names, trees, max_size=4))
def test_no_text_of_an_unknown_field_is_ever_shown(record):
    assert SECRET not in redacted_json(json.dumps(record).encode())
