"""Exchanges recorded with the Hugging Face router are metered as their bodies state."""

import json
from typing import Any

import pytest
import yaml

from pricing.quantities import Quantities
from support.places import DATA

RECORDED = DATA / "hf_router"
FILES = sorted(RECORDED.glob("*.yaml"))

pytestmark = pytest.mark.skipif(not FILES, reason=f"the recorded exchanges are not at {RECORDED}")


def interactions() -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = []
    for path in FILES:
        found += yaml.load(path.read_text(encoding="utf-8"), Loader=loader)["interactions"]
    return found


def stated_usage(interaction: dict[str, Any]) -> dict[str, int]:
    """Find the usage in a recorded response by searching its text, without using the decoder."""
    text = json.dumps(interaction["response"]).replace('\\"', '"')
    start = text.rindex('"usage": {') if '"usage": {' in text else text.rindex('"usage":{')
    end = text.index('"total_tokens"', start)
    numbers = {}
    for name in ("prompt_tokens", "completion_tokens"):
        at = text.index(f'"{name}":', start) + len(name) + 3
        numbers[name] = int(text[at:].lstrip().split(",")[0].split("}")[0])
        assert at < end + 40
    return numbers


def test_token_counts_are_those_in_the_bodies(decode):
    inference = [each for each in interactions() if each["request"]["method"] == "POST"]
    block = decode("openai", *inference)
    assert block.rejected == []
    assert len(block.events) == len(inference) == 8
    for decoded, interaction in zip(block.events, inference, strict=True):
        stated = stated_usage(interaction)
        assert decoded.event.quantities == Quantities(
            input_tokens=stated["prompt_tokens"], output_tokens=stated["completion_tokens"]
        )
        assert (decoded.event.route, decoded.event.status, decoded.event.operation) == ("routed", 200, "chat")
    assert {d.event.provider for d in block.events} == {"together", "nebius", "novita"}
    # Summed by hand from the eight responses: 4+4+269+4+40+634+10+32 and 258+197+27+100+2+106+995+1425.
    assert sum(d.event.quantities.input_tokens for d in block.events) == 997
    assert sum(d.event.quantities.output_tokens for d in block.events) == 3110


def test_the_recorded_stream_is_metered_with_both_of_its_ids(decode):
    (stream,) = (each for each in interactions() if "novita" in each["request"]["uri"])
    (decoded,) = decode("openai", stream).events
    event = decoded.event
    assert (event.quantities.input_tokens, event.quantities.output_tokens) == (40, 2)
    assert event.response_id == "ebafdc26c3296ed027c5cd6565fa1bce"
    assert event.inference_id == "0-019ff423-4542-7611-8ec5-82d205889f7e"
    assert (event.time, event.time_derived) == (1_786_507_380_000_000, True)


def test_a_lookup_of_a_models_providers_is_not_an_inference_request(decode):
    lookups = [each for each in interactions() if each["request"]["method"] == "GET"]
    block = decode("openai", *lookups)
    assert [r.code for r in block.rejected] == ["missing_model"]
