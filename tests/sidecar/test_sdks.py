"""The clients that people use: what they get through the sidecar is what they get directly, and what was used is metered."""

import asyncio
from typing import Any

import anthropic
import huggingface_hub
import openai
import pytest

from metering.domain.usage.events import QuantityGrade
from support import canned_answers as canned
from support.canned_answers import CHAT_QUANTITIES, MODEL
from support.upstream_server import json_answer, stream_answer

TOKEN = "hf_" + "k" * 30
ASKED: Any = [{"role": "user", "content": "Good morning?"}]
WORDS = "".join(canned.WORDS)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture
def both(sidecar, upstream, project):
    """A function that calls a client directly and through the sidecar with the same answers, and compares what it returns."""
    headers = {"X-Metering-Project": project}

    def compare(call, *answers):
        upstream.script(*answers)
        direct = call(upstream.url, headers)
        upstream.script(*answers)
        through = call(sidecar.address, headers)
        assert through == direct
        return through

    return compare


def openai_client(address, headers, **options):
    options = {"max_retries": 0, **options}
    return openai.OpenAI(base_url=f"{address}/v1", api_key=TOKEN, default_headers=headers, timeout=20, **options)


def openai_call(method, read, **arguments):
    """Return a call of a method of the client, such as ``chat.completions.create``."""

    def call(address, headers):
        with openai_client(address, headers) as client:
            found = client
            for name in method.split("."):
                found = getattr(found, name)
            return read(found(model=MODEL, **arguments))

    return call


def dumped(result):
    return result.model_dump()


def each_dumped(stream):
    return [chunk.model_dump() for chunk in stream]


CHAT = "chat.completions.create"
OPENAI = {
    "chat": (openai_call(CHAT, dumped, messages=ASKED), json_answer(canned.chat()), CHAT_QUANTITIES),
    "chat stream with usage": (
        openai_call(CHAT, each_dumped, messages=ASKED, stream=True, stream_options={"include_usage": True}),
        stream_answer(canned.chat_chunks(null_usage=True)), CHAT_QUANTITIES,
    ),
    "tools": (openai_call(CHAT, dumped, messages=ASKED, tools=TOOLS), json_answer(canned.chat_with_tool()), CHAT_QUANTITIES),
    "embeddings": (
        openai_call("embeddings.create", dumped, input=["a", "b"]), json_answer(canned.embeddings()),
        canned.EMBEDDINGS_QUANTITIES,
    ),
    "images": (openai_call("images.generate", dumped, prompt="a cat"), json_answer(canned.images()), canned.IMAGES_QUANTITIES),
    "responses": (
        openai_call("responses.create", dumped, input="Good morning?"), json_answer(canned.responses()),
        canned.RESPONSES_QUANTITIES,
    ),
    "responses stream": (
        openai_call("responses.create", each_dumped, input="Good morning?", stream=True),
        stream_answer(canned.responses_events()), canned.RESPONSES_QUANTITIES,
    ),
    "speech": (
        openai_call("audio.speech.create", lambda answer: answer.read(), input=canned.SPEECH_TEXT, voice="alloy"),
        canned.canned_speech(), canned.SPEECH_QUANTITIES,
    ),
    "transcription": (
        openai_call("audio.transcriptions.create", lambda answer: answer.text, file=("a.mp3", b"ID3" * 100)),
        json_answer(canned.transcription()), canned.TRANSCRIPTION_QUANTITIES,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPENAI)
def test_openai_returns_the_same_and_what_was_used_is_metered(both, sidecar, project, name):
    call, answer, quantities = OPENAI[name]
    assert both(call, answer)
    event = sidecar.event(project)
    assert (event.quantities, event.quantity_grade, event.model) == (quantities, QuantityGrade.MEASURED, MODEL)
    assert event.key.endswith("-kkkk")


def test_openai_does_not_see_the_usage_chunk_that_it_did_not_ask_for(sidecar, upstream, project):
    with openai_client(sidecar.address, {"X-Metering-Project": project}) as client:
        chunks = list(client.chat.completions.create(model=MODEL, messages=ASKED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == WORDS, "no chunk is without a choice"
    assert upstream.received[0].document["stream_options"] == {"include_usage": True}
    assert sidecar.event(project).quantities == CHAT_QUANTITIES


def test_openai_raises_the_same_errors(both, sidecar, project):
    def error(address, headers):
        with openai_client(address, headers) as client, pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(model=MODEL, messages=ASKED)
        return type(raised.value).__name__, raised.value.status_code, raised.value.body, str(raised.value)

    for answer, name in [
        (canned.NO_CREDITS, "APIStatusError"),
        (canned.LIMIT_REACHED, "PermissionDeniedError"),
        (canned.TOO_MANY, "RateLimitError"),
        (canned.LOADING, "InternalServerError"),
    ]:
        assert both(error, answer)[0] == name
    assert [each.status for each in sidecar.events(4, project)] == [402, 403, 429, 503]


def test_openai_tries_again_and_each_attempt_is_an_event(both, sidecar, project):
    def call(address, headers):
        with openai_client(address, headers, max_retries=2) as client:
            return client.chat.completions.create(model=MODEL, messages=ASKED).model_dump()

    both(call, canned.TOO_MANY, canned.TOO_MANY, json_answer(canned.chat()))
    events = sidecar.events(3, project)
    assert [each.status for each in events] == [429, 429, 200]
    assert sum(each.quantities.output_tokens for each in events) == 250


def test_openai_leaves_a_stream_and_goes_on(sidecar, upstream, project):
    with openai_client(sidecar.address, {"X-Metering-Project": project}) as client:
        with client.chat.completions.create(model=MODEL, messages=ASKED, stream=True) as stream:
            next(iter(stream))
        assert client.chat.completions.create(model=MODEL, messages=ASKED).choices[0].message.content == WORDS
    assert [each.quantities for each in sidecar.events(2, project)] == [CHAT_QUANTITIES] * 2


def test_openai_asks_much_at_once(sidecar, upstream, project):
    async def ask():
        client = openai.AsyncOpenAI(
            base_url=f"{sidecar.address}/v1", api_key=TOKEN, default_headers={"X-Metering-Project": project}, max_retries=0
        )

        async def plain():
            return (await client.chat.completions.create(model=MODEL, messages=ASKED)).choices[0].message.content

        async def streamed():
            stream = await client.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        async with client:
            return await asyncio.gather(*(plain() if number % 2 else streamed() for number in range(30)))

    assert asyncio.run(ask()) == [WORDS] * 30
    events = sidecar.events(30, project)
    assert sum(each.quantities.output_tokens for each in events) == 30 * 250
    assert len({each.response_id for each in events}) == 30


def anthropic_client(address, headers, **options):
    return anthropic.Anthropic(
        base_url=address, api_key=TOKEN, default_headers=headers, timeout=20, **{"max_retries": 0, **options}
    )


def test_anthropic_returns_the_same_and_what_was_used_is_metered(both, sidecar, project):
    def plain(address, headers):
        with anthropic_client(address, headers) as client:
            return client.messages.create(model=MODEL, max_tokens=100, messages=ASKED).model_dump()

    def streamed(address, headers):
        asked = {"model": MODEL, "max_tokens": 100, "messages": ASKED}
        with anthropic_client(address, headers) as client, client.messages.stream(**asked) as stream:
            return list(stream.text_stream), stream.get_final_message().model_dump()

    both(plain, json_answer(canned.messages()))
    words, final = both(streamed, stream_answer(canned.messages_events()))
    assert ("".join(words), final["usage"]["output_tokens"]) == (WORDS, 40)
    events = sidecar.events(2, project)
    assert [each.quantities for each in events] == [canned.MESSAGES_QUANTITIES] * 2
    assert {each.key[-5:] for each in events} == {"-kkkk"}


def test_anthropic_raises_the_same_errors_and_tries_again(both, sidecar, project):
    busy = json_answer(
        {"type": "error", "error": {"type": "rate_limit_error", "message": "busy"}}, 429, headers=(("retry-after", "0"),)
    )

    def error(address, headers):
        with anthropic_client(address, headers, max_retries=1) as client, pytest.raises(anthropic.RateLimitError) as raised:
            client.messages.create(model=MODEL, max_tokens=100, messages=ASKED)
        return raised.value.status_code, raised.value.body

    both(error, busy, busy)
    assert [each.status for each in sidecar.events(2, project)] == [429, 429]


def huggingface_client(address, headers):
    return huggingface_hub.InferenceClient(base_url=f"{address}/v1", api_key=TOKEN, headers=headers, bill_to="acme", timeout=20)


def test_huggingface_hub_returns_the_same_and_what_was_used_is_metered(both, sidecar, upstream, project):
    def plain(address, headers):
        return huggingface_client(address, headers).chat_completion(ASKED, model=MODEL)

    def streamed(address, headers):
        client = huggingface_client(address, headers)  # which closes its streams when it goes
        return list(client.chat.completions.create(ASKED, model=MODEL, stream=True))

    both(plain, json_answer(canned.chat()))
    upstream.script(stream_answer(canned.chat_chunks(with_usage=False)))
    direct = streamed(upstream.url, {})
    upstream.script(stream_answer(canned.chat_chunks()))
    through = streamed(sidecar.address, {"X-Metering-Project": project})
    assert [each.choices for each in through] == [each.choices for each in direct]
    events = sidecar.events(2, project)
    assert [each.quantities for each in events] == [CHAT_QUANTITIES] * 2
    assert upstream.received[-1].header("x-hf-bill-to") == "acme"


def test_huggingface_hub_raises_the_same_errors(both, sidecar, project):
    def error(address, headers):
        with pytest.raises(huggingface_hub.errors.HfHubHTTPError) as raised:
            huggingface_client(address, headers).chat_completion(ASKED, model=MODEL)
        return raised.value.response.status_code, raised.value.response.content

    both(error, canned.NO_CREDITS)
    assert sidecar.event(project).status == 402
