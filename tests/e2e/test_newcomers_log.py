"""What a newcomer does first: log what the client returned, ingest it, see what is missing, set it, read the exact cost.

The lines are what ``json.dumps(response.model_dump())`` writes for the ``openai`` package, and ``json.dumps(output)`` for
``huggingface_hub``: written out here, and made by the packages themselves of what an upstream answers.
"""

import json
from typing import Any

import huggingface_hub
import openai
import pytest

from support.builders import NOON, SECOND
from support.command_line import CommandLine
from support.upstream_server import UpstreamServer, json_answer

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
# Together's price of the model since 19 October 2026, nano-USD per token, in or out.
PRICE_NANO = 1_040
USED = [(1_200, 250), (35, 4), (8_000, 1_024)]
TOKENS = [prompt + completion for prompt, completion in USED]


def openai_line(number: int) -> dict[str, object]:
    """``openai.types.chat.ChatCompletion.model_dump()`` of what the router returns: fields it does not send are null."""
    prompt, completion = USED[number]
    message = {
        "content": "Hello!", "refusal": None, "role": "assistant", "annotations": None, "audio": None,
        "function_call": None, "tool_calls": None,
    }  # fmt: skip
    return {
        "id": f"oCg{number}9dP-4Yz6bN-9c1f6d2a8ee{number}",
        "choices": [{"finish_reason": "stop", "index": 0, "logprobs": None, "message": message}],
        "created": NOON // SECOND + 60 * number,
        "model": MODEL,
        "object": "chat.completion",
        "service_tier": None,
        "system_fingerprint": None,
        "usage": {
            "completion_tokens": completion, "prompt_tokens": prompt, "total_tokens": prompt + completion,
            "completion_tokens_details": None, "prompt_tokens_details": None,
        },
    }  # fmt: skip


def huggingface_line(number: int) -> dict[str, object]:
    """``json.dumps`` of ``huggingface_hub``'s ``ChatCompletionOutput``, which is a dict."""
    prompt, completion = USED[number]
    message = {"role": "assistant", "content": "Hello!", "reasoning": None, "tool_call_id": None, "tool_calls": None}
    return {
        "choices": [{"finish_reason": "stop", "index": 0, "message": message, "logprobs": None}],
        "created": NOON // SECOND + 60 * number,
        "id": f"oCg{number}9dP-4Yz6bN-9c1f6d2a8ee{number}",
        "model": MODEL,
        "system_fingerprint": None,
        "usage": {"completion_tokens": completion, "prompt_tokens": prompt, "total_tokens": prompt + completion},
    }


@pytest.mark.parametrize("line", [openai_line, huggingface_line])
def test_a_log_of_what_the_client_returned_has_an_exact_cost_after_one_command(tmp_path, line):
    expect_an_exact_cost(tmp_path, [json.dumps(line(number)) for number in range(len(USED))])


@pytest.fixture
def upstream():
    """An upstream that answers requests with what the router returned for each of USED."""
    with UpstreamServer(lambda asked: json_answer(openai_line(len(server.received) - 1))) as server:
        yield server


MESSAGES: Any = [{"role": "user", "content": "Hello?"}]


def test_a_log_that_the_openai_package_made_has_an_exact_cost_after_one_command(tmp_path, upstream):
    with openai.OpenAI(base_url=f"{upstream.url}/v1", api_key="hf_x", max_retries=0) as client:
        responses = [client.chat.completions.create(model=MODEL, messages=MESSAGES) for _ in USED]
    expect_an_exact_cost(tmp_path, [json.dumps(each.model_dump()) for each in responses])


def test_a_log_that_huggingface_hub_made_has_an_exact_cost_after_one_command(tmp_path, upstream):
    client = huggingface_hub.InferenceClient(base_url=f"{upstream.url}/v1", api_key="hf_x")
    outputs = [client.chat_completion(MESSAGES, model=MODEL) for _ in USED]
    expect_an_exact_cost(tmp_path, [json.dumps(each) for each in outputs])


def expect_an_exact_cost(tmp_path, lines):
    """Ingest the lines, see what they can cost, set the provider, read what they cost."""
    metering = CommandLine(tmp_path)
    metering.done("db", "upgrade")
    log = tmp_path / "responses.jsonl"
    log.write_text("".join(line + "\n" for line in lines))

    ingested = metering.json("ingest", log, "--account", "acme")["total"]
    assert (ingested["accepted"], ingested["rejected"], ingested["unpriced"]) == (3, 0, 3)
    (unpriced,) = metering.json("prices", "unpriced", "--account", "acme")["items"]
    assert (unpriced["model"], unpriced["provider"], unpriced["events"]) == (MODEL, "unknown", 3)
    assert (unpriced["missing"], unpriced["tokens"]) == ("no provider", sum(TOKENS))
    assert "metering usage correct" in unpriced["remedy"]

    choice = ["--account", "acme", "--where", "provider=unknown", "--provider", "together", "--route", "routed"]
    preview = metering.json("usage", "correct", *choice)
    cost = sum(TOKENS) * PRICE_NANO
    assert unpriced["possible_least_nano_usd"] <= cost <= unpriced["possible_most_nano_usd"]
    assert preview["total"]["after_nano_usd"] == cost
    assert metering.json("spend", "--account", "acme")["total"]["amount_nano_usd"] == 0  # a preview changes nothing
    metering.done("usage", "correct", *choice, "--reason", "the client used Together", "--apply")

    assert metering.json("spend", "--account", "acme")["total"]["amount_nano_usd"] == cost
    assert metering.json("prices", "unpriced", "--account", "acme")["items"] == []
    assert metering.json("ingest", log, "--account", "acme")["total"]["duplicate"] == 3
    assert "0.01093352" in metering.done("spend", "--account", "acme")  # 10,513 tokens at $1.04 per million
    metering.done("verify")
