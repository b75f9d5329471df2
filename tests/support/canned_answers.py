"""Answers as inference providers give them, for every API that the router speaks, and the quantities that they state.

Each ``*_QUANTITIES`` was worked out by hand from the usage above it.
"""

import base64
import json
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from pricing.quantities import Quantities
from support.upstream_server import Answer, Asked, json_answer, stream_answer

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
CREATED = 1_796_083_200
_numbers = count(1)

CHAT_USAGE: dict[str, Any] = {
    "prompt_tokens": 1200, "completion_tokens": 250, "total_tokens": 1450,
    "prompt_tokens_details": {"cached_tokens": 200}, "completion_tokens_details": {"reasoning_tokens": 50},
}  # fmt: skip
CHAT_QUANTITIES = Quantities(input_tokens=1000, cache_read_tokens=200, output_tokens=250, reasoning_tokens=50)
RESPONSES_USAGE: dict[str, Any] = {
    "input_tokens": 300, "input_tokens_details": {"cached_tokens": 100}, "output_tokens": 80,
    "output_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 380,
}  # fmt: skip
RESPONSES_QUANTITIES = Quantities(input_tokens=200, cache_read_tokens=100, output_tokens=80, reasoning_tokens=30)
MESSAGES_USAGE: dict[str, Any] = {
    "input_tokens": 90, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 40,
}  # fmt: skip
MESSAGES_QUANTITIES = Quantities(input_tokens=90, cache_write_tokens=5, cache_read_tokens=10, output_tokens=40)
EMBEDDINGS_QUANTITIES = Quantities(input_tokens=8)
IMAGES_QUANTITIES = Quantities(images=2)
RERANK_QUANTITIES = Quantities(search_units=1)
TRANSCRIPTION_QUANTITIES = Quantities(audio_ms=9_000)
SPEECH_TEXT = "Good morning, Zoë."
SPEECH_QUANTITIES = Quantities(characters=18)
WORDS = ("Good", " morn", "ing", ", Zo\u00eb", "!")


def _response_id(prefix: str = "chatcmpl-") -> str:
    """Return an ID that no other response has, as long as real ones."""
    return f"{prefix}{next(_numbers):06d}e84cf29c1b6a73d05f"


def sse(document: object, event: str = "") -> bytes:
    """Return one server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(document)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def chat(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": "".join(WORDS)}
    return {
        "id": _response_id(), "object": "chat.completion", "created": CREATED, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": CHAT_USAGE, "system_fingerprint": None, **fields,
    }  # fmt: skip


TOOL_CALL = {"id": "call_f5275ab3", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


def chat_with_tool(model: str = MODEL) -> dict[str, Any]:
    """A chat completion that calls a tool."""
    message = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
    return chat(model, choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


def chat_chunks(
    model: str = MODEL, *, with_usage: bool = True, null_usage: bool = False, words: Iterable[str] = WORDS
) -> list[bytes]:
    """The events of a streamed chat completion. ``with_usage``: the last chunk has the usage and nothing else.

    ``null_usage``: every other chunk states ``usage: null``, as OpenAI's do if asked for usage.
    """
    around: dict[str, Any] = {"id": _response_id(), "object": "chat.completion.chunk", "created": CREATED, "model": model}
    null: dict[str, Any] = {"usage": None} if null_usage else {}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        return sse({**around, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **null})

    events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": word}) for word in words), chunk({}, "stop")]
    if with_usage:
        events.append(sse({**around, "choices": [], "usage": CHAT_USAGE}))
    return [*events, DONE]


def responses(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    """An answer of the Responses API."""
    content = [{"type": "output_text", "text": "".join(WORDS), "annotations": []}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    return {
        "id": _response_id("resp_"), "object": "response", "created_at": CREATED, "model": model, "status": "completed",
        "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "output": [message],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "temperature": 1.0, "top_p": 1.0,
        "usage": RESPONSES_USAGE, **fields,
    }  # fmt: skip


def responses_events(model: str = MODEL) -> list[bytes]:
    """The events of a streamed answer of the Responses API."""
    whole = responses(model)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    deltas: list[dict[str, Any]] = [{"type": "response.output_text.delta", "delta": word, **place} for word in WORDS]
    documents: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun}, *deltas, {"type": "response.completed", "response": whole},
    ]  # fmt: skip
    return [sse({**each, "sequence_number": number}, each["type"]) for number, each in enumerate(documents)]


def messages(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    """An answer of the Messages API."""
    return {
        "id": _response_id("msg_"), "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": "".join(WORDS)}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": MESSAGES_USAGE, **fields,
    }  # fmt: skip


def messages_events(model: str = MODEL) -> list[bytes]:
    """The events of a streamed answer of the Messages API: the input is stated first, the output at the end."""
    begun = messages(model, content=[], stop_reason=None, usage={**MESSAGES_USAGE, "output_tokens": 1})
    deltas: list[dict[str, Any]] = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS
    ]
    documents: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 40}},
        {"type": "message_stop"},
    ]
    return [sse(each, each["type"]) for each in documents]


def embeddings(model: str = MODEL) -> dict[str, Any]:
    """Two embeddings."""
    data = [{"object": "embedding", "index": index, "embedding": [0.25, -0.5, 0.125]} for index in range(2)]
    return {"object": "list", "model": model, "data": data, "usage": {"prompt_tokens": 8, "total_tokens": 8}}


def images() -> dict[str, Any]:
    """Two images, without usage."""
    return {"created": CREATED, "data": [{"b64_json": base64.b64encode(b"png" * 20).decode()} for _ in range(2)]}


def rerank(model: str = MODEL) -> dict[str, Any]:
    """Ranked documents."""
    results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
    return {"id": _response_id("rr-"), "model": model, "results": results, "meta": {"billed_units": {"search_units": 1}}}


def transcription() -> dict[str, Any]:
    """A transcription of nine seconds."""
    return {"text": "Good morning.", "usage": {"type": "duration", "seconds": 9}}


def canned_speech() -> Answer:
    """Spoken text."""
    return Answer((b"ID3\x04" + bytes(range(256)),), media="audio/mpeg")


def openai_error(code: str, message: str) -> dict[str, Any]:
    """An error as OpenAI-compatible providers write it."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


NO_STREAM_OPTIONS = json_answer(openai_error("unknown_parameter", "Unrecognized request argument: stream_options"), 400)
NO_CREDITS = json_answer({"error": "You have depleted your monthly included credits."}, 402)
LIMIT_REACHED = json_answer({"error": "The resource group 'search' has reached its spend limit."}, 403)
TOO_MANY = json_answer(openai_error("rate_limit_exceeded", "Too many requests"), 429, headers=(("retry-after", "0"),))
LOADING = json_answer({"error": "Model is currently loading", "estimated_time": 20.0}, 503)


MODELS = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": CREATED, "owned_by": "meta"}]}


def canned(asked: Asked) -> Answer:
    """Return the answer to a request of any API, streamed if asked for; usage in a chat stream only if asked for."""
    if asked.method in ("GET", "HEAD"):
        return json_answer(MODELS)
    path = asked.path
    if path.endswith(("/audio/transcriptions", "/audio/translations")):
        return json_answer(transcription())
    body = asked.document
    model, streams = body.get("model", MODEL), body.get("stream") is True
    if path.endswith("/chat/completions"):
        return _chat_answer(model, body, streams=streams)
    made: dict[str, Callable[[], Answer]] = {
        "/responses": lambda: stream_answer(responses_events(model)) if streams else json_answer(responses(model)),
        "/messages": lambda: stream_answer(messages_events(model)) if streams else json_answer(messages(model)),
        "/audio/speech": canned_speech,
        "/embeddings": lambda: json_answer(embeddings(model)),
        "/images/generations": lambda: json_answer(images()),
        "/rerank": lambda: json_answer(rerank(model)),
    }
    for end, answer in made.items():
        if path.endswith(end):
            return answer()
    return json_answer(openai_error("not_found", f"no such path: {path}"), 404)


def _chat_answer(model: str, body: dict[str, Any], *, streams: bool) -> Answer:
    if streams:
        asks = (body.get("stream_options") or {}).get("include_usage") is True
        return stream_answer(chat_chunks(model, with_usage=asks, null_usage=asks))
    return json_answer(chat_with_tool(model) if body.get("tools") else chat(model))
