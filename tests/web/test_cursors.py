"""Cursors are opaque and belong to one question; any other cursor is refused."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.web.cursors import _seal, read_cursor, write_cursor
from metering.web.problems import ApiProblem

# No database column contains a NUL, so no key does; a cursor with one is refused.
keys = st.lists(st.integers(-(2**63) + 1, 2**63 - 1) | st.text(st.characters(exclude_characters="\0"), max_size=30), max_size=5)
questions = st.lists(st.text(max_size=5) | st.none() | st.integers(), max_size=4)


def shape(key):
    return [type(part) for part in key]


@given(keys, questions)
def test_a_cursor_is_read_as_it_was_written(key, question):
    assert read_cursor(write_cursor(key, question), question, shape(key)) == key


@given(keys, questions)
def test_a_cursor_needs_no_escaping_in_a_url(key, question):
    assert set(write_cursor(key, question)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(keys, st.data())
def test_an_altered_cursor_is_refused(key, data):
    cursor = write_cursor(key, "q")
    at = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from("Aa0-_=+/ .é").filter(lambda each: each != cursor[at]))
    for other in (
        cursor[:at] + letter + cursor[at + 1 :],
        cursor[:at] + cursor[at + 1 :],
        cursor + "A",
        cursor + "=",
        cursor + " ",
    ):
        refused(other, "q", shape(key))


@given(st.text(max_size=60))
def test_arbitrary_text_is_refused(text):
    refused(text, "q", [int])


@given(keys, questions, questions)
def test_a_cursor_of_another_question_is_refused(key, question, other):
    if question != other:
        refused(write_cursor(key, question), other, shape(key))


@pytest.mark.parametrize("content", [5, None, {}, "x", [True], [1.5], [2**63], [-(2**63)], ["x"], [1, 2], [], [[1]], [None]])
def test_a_forged_cursor_with_invalid_content_is_refused(content):
    raw = json.dumps(content, separators=(",", ":")).encode()
    forged = base64.urlsafe_b64encode(_seal(raw, "q") + raw).rstrip(b"=").decode()
    refused(forged, "q", [int])


def test_a_cursor_with_a_nul_is_refused():
    refused(write_cursor(["a\0b"], "q"), "q", [str])


def test_a_very_long_cursor_is_refused_unread():
    refused("A" * 100_000, "q", [int])


def refused(cursor, question, wanted):
    with pytest.raises(ApiProblem) as caught:
        read_cursor(cursor, question, wanted)
    assert caught.value.code == "invalid_cursor"
