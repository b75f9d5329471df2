"""Requests on every wire that each cost the same, and the upstream that answers them.

A request costs 32,000 nano-USD: 12 tokens of ``llama`` in and 10 out, at 1,000 and 2,000. Its prompt has 48 bytes and it may
produce 10 tokens, so it also reserves exactly that. A form costs that much for the request.
"""

from typing import Any

from pricing.rates import Price
from pricing.tables import PriceTable
from support.builders import price_table, rate
from support.canned_answers import DONE, chat, messages, responses, sse
from support.upstream_server import Answer, Asked, json_answer, stream_answer

COST_NANO = 32_000
PROMPT = b'"What do llamas eat in winter, up in the Andes?"'
MESSAGES = b'[{"role":"user","content":"What do llamas eat"}]'
CHAT_USAGE = {"prompt_tokens": 12, "completion_tokens": 10, "total_tokens": 22}
OTHER_USAGE = {"input_tokens": 12, "output_tokens": 10}
SERVED = (("x-inference-provider", "together"),)
FORM_TYPE = "multipart/form-data; boundary=b"
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + bytes(70_000) + b"\r\n--b--\r\n"
)


def _body(name: bytes, content: bytes, limit: bytes = b"max_tokens", *, streams: bool = False) -> bytes:
    return b'{"model":"llama","%b":10,"%b":%b%b}' % (limit, name, content, b',"stream":true' if streams else b"")


WIRES: dict[str, tuple[str, bytes]] = {
    "chat": ("/v1/chat/completions", _body(b"messages", MESSAGES)),
    "chat stream": ("/v1/chat/completions", _body(b"messages", MESSAGES, streams=True)),
    "provider path": ("/together/v1/chat/completions", _body(b"messages", MESSAGES)),
    "completions": ("/v1/completions", _body(b"prompt", PROMPT)),
    "responses": ("/v1/responses", _body(b"input", PROMPT, b"max_output_tokens")),
    "responses stream": ("/v1/responses", _body(b"input", PROMPT, b"max_output_tokens", streams=True)),
    "messages": ("/v1/messages", _body(b"messages", MESSAGES)),
    "messages stream": ("/v1/messages", _body(b"messages", MESSAGES, streams=True)),
    "form": ("/v1/audio/transcriptions", FORM),
}


def prices() -> PriceTable:
    """Return the prices at which each of the requests costs the same."""
    form = {"requests": Price(COST_NANO * 1_000), "audio_ms": Price(0)}
    return price_table(rate(), rate(model="whisper", prices=form))


def expensive(body: bytes) -> bytes:
    """Return a request that may produce a million tokens; a form stays as it is."""
    return body.replace(b'":10,', b'":1000000,')


def media_of(wire: str) -> str:
    """Return the content type of a wire's requests."""
    return FORM_TYPE if wire == "form" else "application/json"


def respond(asked: Asked) -> Answer:
    """Answer as together does, after a moment; a request with the header ``x-probe`` fails."""
    if asked.header("x-probe"):
        return json_answer({"error": "overloaded"}, 503)
    if asked.path.endswith("/transcriptions"):
        return json_answer({"text": "Grass.", "usage": {"type": "duration", "seconds": 9}}, headers=SERVED)
    streams = asked.document.get("stream") is True
    for end, plain, events in (
        ("/messages", lambda: messages("llama", usage=OTHER_USAGE), _messages_events),
        ("/responses", lambda: responses("llama", usage=OTHER_USAGE), _responses_events),
        ("/completions", lambda: chat("llama", usage=CHAT_USAGE), _chat_events),
    ):
        if asked.path.endswith(end):
            if streams:
                return stream_answer(events(), headers=SERVED, pause_seconds=0.002)
            return json_answer(plain(), headers=SERVED, pause_seconds=0.01)
    return json_answer({"error": "not found"}, 404)


def _chat_events() -> list[bytes]:
    around: dict[str, Any] = {"object": "chat.completion.chunk", "model": "llama", "id": chat()["id"]}
    words = [{"index": 0, "delta": {"content": word}, "finish_reason": None} for word in ("Grass", " and", " moss")]
    chunks = [sse({**around, "choices": [each]}) for each in words]
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return [*chunks, sse({**around, "choices": [last]}), sse({**around, "choices": [], "usage": CHAT_USAGE}), DONE]


def _responses_events() -> list[bytes]:
    whole = responses("llama", usage=OTHER_USAGE)
    documents: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_text.delta", "delta": "Grass", "item_id": "msg_1", "output_index": 0, "content_index": 0},
        {"type": "response.completed", "response": whole},
    ]
    return [sse(each, each["type"]) for each in documents]


def _messages_events() -> list[bytes]:
    begun = messages("llama", content=[], stop_reason=None, usage={"input_tokens": 12, "output_tokens": 1})
    documents: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grass"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 10}},
        {"type": "message_stop"},
    ]
    return [sse(each, each["type"]) for each in documents]
