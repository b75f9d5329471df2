"""What is read from the body of a request, and how usage is asked for in it."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metering.sidecar.request_facts import BodyFacts, facts_of, facts_of_part, with_usage_asked_for


def test_the_prompt_is_measured_as_it_stands_in_the_request():
    messages = '[{"role": "user", "content": "Hi"}]'
    body = f'{{"model": "m", "messages": {messages}, "tools": [1], "temperature": 0.1, "n": 3, "max_tokens": 50}}'.encode()
    assert facts_of(body) == BodyFacts(model="m", prompt_bytes=len(messages) + 3, max_output_tokens=50, choices=3)


def test_the_largest_limit_of_the_output_counts():
    assert facts_of(b'{"max_tokens": 5, "max_completion_tokens": 9}').max_output_tokens == 9
    assert facts_of(b'{"max_output_tokens": 7}').max_output_tokens == 7
    assert facts_of(b"{}").max_output_tokens is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"\xff", b'"model"', b"[" * 5_000, b'{"model": 7}', b'{"stream": 1}']
)
def test_any_body_is_read_without_an_error(body):
    facts = facts_of(body)
    assert (facts.model, facts.is_stream) == ("", False)


def test_a_body_of_unusual_types_states_what_can_be_read():
    facts = facts_of(b'{"model": "m", "stream": true, "max_tokens": "many", "messages": []}')
    assert (facts.model, facts.is_stream, facts.max_output_tokens) == ("m", True, None)


def test_the_model_is_found_in_a_form_and_in_the_start_of_a_long_body():
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\n'
    assert facts_of_part(form).model == "whisper-1"
    assert facts_of_part(b'{"stream":true,"model" : "m","messages":[{"content":"' + b"x" * 100).model == "m"
    assert facts_of_part(b"\x00\x01").model == ""


def test_only_a_request_for_speech_keeps_its_text():
    body = b'{"model": "tts", "input": "Zo\\u00eb"}'
    assert (facts_of(body).text, facts_of(body, speaks=True).text) == ("", "Zoë")
    assert facts_of(b'{"input": ["a"]}', speaks=True).text == ""


@pytest.mark.parametrize(
    ("options", "states"),
    [
        ("", False),
        ('"stream_options": null,', False),
        ('"stream_options": {},', False),
        ('"stream_options": {"continuous_usage_stats": true},', False),
        ('"stream_options": {"include_usage": true},', True),
        ('"stream_options": {"include_usage": false},', True),
        ('"stream_options": {"include_usage": null},', True),
        ('"stream_options": "odd",', True),
    ],
)
def test_usage_is_asked_for_where_the_request_does_not_say(options, states):
    body = f'{{"model": "m", {options} "stream": true, "messages": []}}'.encode()
    assert facts_of(body).states_stream_options is states


documents = st.dictionaries(
    st.sampled_from(["model", "messages", "seed", "user"]),
    st.none() | st.integers() | st.text() | st.lists(st.text()),
    max_size=4,
)
options = st.sampled_from(
    [
        {},
        {"stream_options": None},
        {"stream_options": {}},
        {"stream_options": {"a": [1], "b": {}}},
        {"stream_options": {"x": "}"}},
    ]
)
LAYOUTS: list[dict[str, object]] = [{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}]


@given(documents, options, st.sampled_from(LAYOUTS), st.sampled_from(["", " ", "\n\n"]))
def test_asking_for_usage_changes_nothing_else(document, stated, layout, end):
    document = {"stream": True, **document, **stated}
    body = (json.dumps(document, **layout) + end).encode("utf-8", "surrogatepass")
    facts = facts_of(body)
    assume(not facts.states_stream_options)  # of a body with unusual types
    asked = with_usage_asked_for(body, facts.stream_options)
    before = stated.get("stream_options") or {}
    pairs = json.loads(asked, object_pairs_hook=list)
    assert len({name for name, _ in pairs}) == len(pairs), "a name is stated twice"
    assert json.loads(asked) == {**document, "stream_options": {"include_usage": True, **before}}
    assert asked.endswith(body[body.rfind(b"}") :])


def test_the_body_of_an_empty_request_is_asked_too():
    assert json.loads(with_usage_asked_for(b"{ }", b"")) == {"stream_options": {"include_usage": True}}


def test_options_that_are_not_found_once_are_left_alone():
    body = b'{"a": {"stream_options": {}}, "stream_options": {}}'
    assert with_usage_asked_for(body, b"{}") == body
