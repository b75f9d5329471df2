"""Tokens are estimated by the written method: one for four bytes, at least one a chunk, images at a thousand."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.sidecar.estimates import embedded_data, estimated, prompt_tokens, tokens_in
from metering.sidecar.request_facts import BodyFacts, facts_of
from pricing.quantities import MAX_QUANTITY, Quantities


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (400_001, 100_001)])
def test_four_bytes_are_a_token(size, tokens):
    assert tokens_in(size) == tokens


def test_an_answer_has_at_least_a_token_per_chunk():
    assert estimated(3, 9) == Quantities(input_tokens=3, output_tokens=3)
    assert estimated(3, 9, chunks=7) == Quantities(input_tokens=3, output_tokens=7)
    assert estimated(10**12, 10**13) == Quantities(input_tokens=MAX_QUANTITY, output_tokens=MAX_QUANTITY)


def test_an_image_in_a_prompt_counts_for_a_thousand_tokens_whatever_its_size():
    image = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 40).decode()
    text = {"role": "user", "content": [{"type": "text", "text": "What is this?"}]}
    with_image = {"role": "user", "content": [*text["content"], {"type": "image_url", "image_url": {"url": image}}]}
    plain, shown = (json.dumps({"model": "m", "messages": [each]}).encode() for each in (text, with_image))
    before = prompt_tokens(facts_of(plain), embedded_data(plain))
    after = prompt_tokens(facts_of(shown), embedded_data(shown))
    # Next to the image there are about 60 bytes of JSON around it: some 15 tokens.
    assert 1_000 <= after - before <= 1_025
    assert embedded_data(shown)[1] == 1


def test_an_image_of_the_messages_api_is_found_too():
    data = base64.b64encode(bytes(900)).decode()
    body = json.dumps({"source": {"type": "base64", "media_type": "image/png", "data": data}}).encode()
    size, number = embedded_data(body)
    assert number == 1
    assert len(data) <= size <= len(data) + 12


@given(st.text(), st.integers(0, 10**6))
def test_no_text_has_more_than_four_times_the_tokens_of_its_estimate(text, other):
    """A token is at least one byte."""
    body = json.dumps({"messages": text}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert prompt_tokens(BodyFacts(prompt_bytes=len(body))) * 4 >= len(body)
    assert embedded_data(json.dumps({"messages": "plain " * 10, "n": other}).encode()) == (0, 0)
