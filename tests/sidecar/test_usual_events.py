"""Usual chat completions become events without the reader of request logs. Each is the event that the reader makes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from metering.domain.errors import RecordError
from metering.domain.usage.events import QuantityGrade, UsageEvent
from metering.sidecar.callers import Caller
from metering.sidecar.exchanged import Exchanged
from metering.sidecar.heads import AnswerHead
from metering.sidecar.metered_events import EventMaker
from metering.sidecar.request_facts import BodyFacts
from pricing.quantities import Quantities

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
CALLER = Caller("acme", "search", "key-1", "ada", "", {"user": "ada"})
USAGE = {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34, "prompt_tokens_details": {"cached_tokens": 10}}
COUNTS = st.one_of(st.integers(-2, 50), st.none(), st.just("3"), st.just(2.5), st.just(True))
USAGES = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "cost", "estimated_cost", "odd"]),
    COUNTS,
)
DETAILED = st.builds(
    lambda usage, details: usage | {"prompt_tokens_details": details},
    USAGES,
    st.one_of(st.none(), st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "odd"]), COUNTS)),
)
TEXTS = st.one_of(st.just("chatcmpl-1"), st.just(""), st.just("a\0b"), st.just("x" * 300), st.just("é"), st.none(), st.just(7))
CHOICES = st.sampled_from([[], [{"finish_reason": "stop"}], [{"finish_reason": "error"}], [{"finish_reason": None}], "none"])
STATEMENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXTS,
        "model": TEXTS,
        "object": st.just("chat.completion"),
        "choices": CHOICES,
        "usage": st.one_of(USAGES, DETAILED, st.none(), st.just([])),
        "error": st.sampled_from([None, {"code": "overloaded"}]),
        "status": st.sampled_from(["completed", "failed"]),
        "service_tier": st.just("default"),
        "x_groq": st.just({"usage": {"prompt_tokens": 5, "completion_tokens": 1}}),
        "cache_hit": st.booleans(),
    },
)
HEADERS = st.lists(
    st.sampled_from(
        [
            (b"x-inference-provider", b"together"), (b"x-inference-provider", b"hf-inference"), (b"inference-id", b"inf-1"),
            (b"x-compute-time", b"0.5"), (b"x-router-route", b"fastest"), (b"content-type", b"application/json"),
            (b"content-type", b"image/png"),
        ]
    ),
    max_size=4,
)  # fmt: skip


def exchanged(statements, headers=(), **fields):
    answer = AnswerHead(200, b"OK", list(headers), False, None)
    values = {
        "id": "sc-1", "started": 1_796_083_200_000_000, "latency_ms": 12, "path": "/v1/chat/completions",
        "facts": BodyFacts(model=MODEL), "caller": CALLER, "status": 200, "answer": answer, "statements": statements,
        "input_tokens": 9, "text_bytes": 80, "chunks": 0, "first_byte_ms": 5,
    }  # fmt: skip
    return Exchanged(**{**values, **fields})


def read(exchange) -> UsageEvent:
    """Return the event that a maker returns which saw no other exchange, and so has the reader make it."""
    return EventMaker("sidecar", "router.huggingface.co").event_of(exchange)


@settings(deadline=None)
@given(statements=STATEMENTS, headers=HEADERS, is_stream=st.booleans(), path=st.sampled_from(["/v1", "/together/v1", "/x"]))
def test_the_event_is_the_one_that_the_reader_makes(statements, headers, is_stream, path):
    maker = EventMaker("sidecar", "router.huggingface.co")
    path = f"{path}/chat/completions"
    maker.event_of(exchanged({"id": "first", "usage": USAGE}, headers, path=path))
    again = exchanged(statements, headers, path=path, is_stream=is_stream)
    assert maker.event_of(again) == read(again)


def test_a_usual_exchange_does_not_reach_the_reader(monkeypatch):
    maker = EventMaker("sidecar", "router.huggingface.co")
    headers = [(b"x-inference-provider", b"together"), (b"inference-id", b"inf-1")]
    maker.event_of(exchanged({"id": "first", "model": MODEL, "usage": USAGE}, headers))

    def refuse(*_):
        raise RecordError("read", "the reader was asked", "id")

    monkeypatch.setattr(maker._reader, "event_of", refuse)
    event = maker.event_of(exchanged({"id": "second", "model": MODEL, "usage": USAGE}, headers, is_stream=True))
    assert event.quantities == Quantities(input_tokens=20, cache_read_tokens=10, output_tokens=4)
    assert (event.response_id, event.inference_id, event.provider, event.route) == ("second", "inf-1", "together", "routed")
    assert event.tags == {"user": "ada", "first_byte_ms": "5"}
    assert event.quantity_grade == QuantityGrade.MEASURED


def test_a_kind_is_learned_from_what_was_read_and_not_from_what_could_not_be():
    maker = EventMaker("sidecar", "router.huggingface.co")
    maker.event_of(exchanged({"id": "first", "usage": {"prompt_tokens": "many"}}, [(b"x-inference-provider", b"novita")]))
    again = exchanged({"id": "second", "usage": USAGE}, [(b"x-inference-provider", b"novita")])
    assert maker.event_of(again).provider == "novita"
