"""IDs of records: the logger's own first; a response's ID that repeats only together with time and content."""

from typing import Any

import pytest

from metering.domain.usage.identity import id_with_content, may_repeat
from support.builders import usage_event

CREATED = 1_793_700_000


def answer(response_id: str, prompt: int = 10, **changes: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt, "completion_tokens": 1, "total_tokens": prompt + 1}
    return {"id": response_id, "object": "chat.completion", "created": CREATED, "model": "m", "usage": usage, **changes}


@pytest.mark.parametrize(
    ("response_id", "repeats"),
    [
        ("chatcmpl-424", True), ("chatcmpl-static-1", True), ("resp_1", True), ("7", True), ("req-42", True),
        ("chatcmpl-000000000000", True), ("chatcmpl-AAAAAAAAAAAAAAAA", True), ("cmpl-12345678901", True),
        ("chatcmpl-9f2c5d1e7a8b", False), ("oV1moV9-zqrih-9c4b149d4b66d67b", False), ("gen-1793700000-AbCdEfGhIj", False),
        ("ebafdc26c3296ed027c5cd6565fa1bce", False), ("msg_014p7gG3wDgGV9EUtLvnow3U", False),
    ],
)  # fmt: skip
def test_short_and_monotonous_ids_may_repeat(response_id, repeats):
    assert may_repeat(response_id) is repeats


def test_an_id_with_content_is_the_same_for_the_same_record_only():
    event = usage_event(id="a")
    made = id_with_content("chatcmpl-424", event)
    assert made.startswith("chatcmpl-424~")
    assert len(made) == len("chatcmpl-424~") + 16
    assert id_with_content("chatcmpl-424", usage_event(id="b", project="other")) == made
    assert id_with_content("chatcmpl-424", usage_event(id="a", time=event.time + 1)) != made
    assert len(id_with_content("x" * 255, event)) == 255


def test_a_short_response_id_is_an_identity_only_with_time_and_content(decode):
    block = decode("openai", answer("chatcmpl-424"), answer("chatcmpl-424", 11), answer("chatcmpl-424", created=CREATED + 5))
    ids = [d.event.id for d in block.events]
    assert len(set(ids)) == 3
    assert all(each.startswith("chatcmpl-424~") for each in ids)
    assert {d.event.response_id for d in block.events} == {"chatcmpl-424"}
    again = decode("openai", answer("chatcmpl-424"))
    assert again.events[0].event.id == ids[0]


def test_a_long_response_id_stays_as_it_is(decode):
    (decoded,) = decode("openai", answer("chatcmpl-9f2c5d1e7a8b4c60")).events
    assert decoded.event.id == "chatcmpl-9f2c5d1e7a8b4c60"


def test_the_loggers_id_comes_first_and_may_be_a_number(decode):
    wrapped = [{"id": own, "response": answer("chatcmpl-424")} for own in ("log-1", "log-2", 77)]
    block = decode("openai", *wrapped)
    assert [d.event.id for d in block.events] == ["log-1", "log-2", "77"]


@pytest.mark.parametrize("own", [["x"], {"a": 1}, "x" * 300, "a\0b", True])
def test_a_loggers_id_that_cannot_be_one_is_passed_over_for_the_responses(decode, own):
    (decoded,) = decode("openai", {"id": own, "response": answer("chatcmpl-9f2c5d1e7a8b4c60")}).events
    assert decoded.event.id == "chatcmpl-9f2c5d1e7a8b4c60"
    without = {"id": own, "response": answer("")}
    assert len(decode("openai", without).rejected) == 1


def test_the_id_is_the_loggers_then_the_responses_then_the_inference_id(decode):
    long = "chatcmpl-9f2c5d1e7a8b4c60"
    header = {"body": answer(""), "headers": {"inference-id": "0-019ff423-4542"}}
    records = [{"id": "own", "response": answer(long)}, {"response": answer(long)}, {"response": header}]
    block = decode("openai", *records)
    assert [d.event.id for d in block.events] == ["own", long, "0-019ff423-4542"]
    assert block.events[0].event.response_id == long
    assert decode("openai", {"response": answer("")}, require_id=True).rejected[0].code == "missing_id"
