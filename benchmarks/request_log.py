"""A request log for benchmarks: native NDJSON, seeded, the same bytes for the same arguments."""

import random
from pathlib import Path

from msgspec import Struct

MODELS = (
    ("together", "meta-llama/Llama-3.3-70B-Instruct"),
    ("novita", "deepseek-ai/DeepSeek-V3-0324"),
    ("fireworks-ai", "openai/gpt-oss-120b"),
    ("nscale", "Qwen/Qwen2.5-Coder-32B-Instruct"),
    ("novita", "example/unpriced-model"),
)
_LINE = (
    '{{"id":"req_{number:09d}","source":"gateway-1","time":"2026-10-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{micro:06d}Z",'
    '"account":"{account}","provider":"{provider}","model":"{model}","operation":"chat","route":"routed","status":{status},'
    '"usage":{{"input_tokens":{prompt},"cache_read_tokens":{cached},"output_tokens":{output},"reasoning_tokens":{reasoning}}},'
    '{response}"project":"project-{project}","key":"key-{key}",{tags}"latency_ms":{latency}}}\n'
)
_SECONDS = 31 * 86_400


class Slice(Struct, frozen=True):
    """Part of a month of ``total`` requests: ``count`` of them, starting with number ``first``."""

    first: int
    count: int
    total: int


def write_request_log(
    path: Path, events: int | Slice, *, seed: int = 1, accounts: int = 1, response_ids: bool = True, tags: bool = True
) -> None:
    """Write a month of requests, ordered by time: 28 combinations of model, project and key; 2% fail."""
    part = events if isinstance(events, Slice) else Slice(0, events, events)
    chance = random.Random(seed * 1_000_003 + part.first)
    with path.open("w", encoding="ascii") as file:
        for number in range(part.first, part.first + part.count):
            day, rest = divmod(number * _SECONDS // part.total, 86_400)
            provider, model = MODELS[min(int(chance.random() * 5.2), 3) if chance.random() < 0.99 else 4]
            output = 0 if chance.random() < 0.02 else int(chance.expovariate(0.004)) + 1
            file.write(
                _LINE.format(
                    number=number,
                    day=day + 1,
                    hour=rest // 3600,
                    minute=rest // 60 % 60,
                    second=rest % 60,
                    micro=int(chance.random() * 1_000_000),
                    provider=provider,
                    model=model,
                    status=200 if output else 503,
                    prompt=int(chance.expovariate(0.001)),
                    cached=int(chance.expovariate(0.002)) if chance.random() < 0.3 else 0,
                    output=output,
                    reasoning=output // 3,
                    account="acme" if accounts == 1 else f"account-{chance.randrange(accounts):02d}",
                    response=f'"response_id":"chatcmpl-{chance.getrandbits(128):032x}",' if response_ids else "",
                    tags='"tags":{"team":"core"},' if tags else "",
                    project=number % 7,
                    key=number % 2,
                    latency=200 + output * 8,
                )
            )
