"""Generate a month of plausible traffic as a request log (native events, one per line). The same seed gives the same log.

    python examples/sample_traffic.py --month 2026-10 --events 20000 --seed 7 --output requests.ndjson

The traffic of a company called acme: chat, document search, a coding agent, reasoning, classification and images, through the
router to several providers, on hf-inference, and with its own key at one provider. It has nights and weekends, cached prompts,
failures, a model without a price, and a few records without a billing route.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from msgspec import Struct

from pricing.book import PriceBook
from pricing.bundled import bundled_tables

ACCOUNT = "acme"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# Relative traffic by hour from midnight UTC: people in Europe and America, and nightly jobs.
HOURS = (3, 3, 4, 3, 2, 3, 5, 9, 14, 17, 18, 16, 15, 18, 21, 22, 20, 17, 14, 11, 9, 7, 5, 4)
WEEKDAYS = (10, 11, 11, 11, 9, 4, 3)
FAILURES = ((429, 12), (500, 3), (503, 4))
FAILURES_IN_1000 = 19


class Workload(Struct, frozen=True):
    """Requests of one kind. ``models`` are (provider, model) in order of preference; the first with a price is used.

    ``prompt`` and ``output`` are typical token counts; ``cached`` is the percentage of prompts that start like an earlier one,
    ``reasoning`` the maximum percentage of the output that is reasoning.
    """

    weight: int
    project: str
    team: str
    key: str
    models: tuple[tuple[str, str], ...]
    operation: str = "chat"
    route: str = "routed"
    prompt: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    priced: bool = True


WORKLOADS = (
    Workload(
        300, "support-bot", "support", "prod-1",
        (("together", "meta-llama/Llama-3.3-70B-Instruct"), ("groq", "meta-llama/Llama-3.3-70B-Instruct")),
        prompt=1_100, output=220, cached=60,
    ),
    Workload(
        220, "search", "search", "prod-1",
        (("fireworks-ai", "openai/gpt-oss-120b"), ("novita", "openai/gpt-oss-120b")),
        prompt=5_200, output=350, cached=35, reasoning=30,
    ),
    Workload(
        110, "coding-agent", "platform", "prod-2",
        (("novita", "Qwen/Qwen3-Coder-480B-A35B-Instruct"), ("together", "Qwen/Qwen3-Coder-480B-A35B-Instruct")),
        prompt=14_000, output=900, cached=80,
    ),
    Workload(
        60, "analysis", "finance", "notebook",
        (("novita", "deepseek-ai/DeepSeek-V3.2"), ("together", "deepseek-ai/DeepSeek-V3")),
        prompt=3_000, output=1_600, reasoning=65,
    ),
    Workload(
        170, "ticket-triage", "support", "batch",
        (("groq", "openai/gpt-oss-20b"), ("novita", "openai/gpt-oss-20b")),
        prompt=600, output=40,
    ),
    Workload(
        50, "translation", "content", "batch",
        (("cerebras", "meta-llama/Llama-3.1-8B-Instruct"), ("novita", "meta-llama/Llama-3.1-8B-Instruct")),
        prompt=900, output=800,
    ),
    Workload(
        45, "support-bot", "support", "together-own", (("together", "meta-llama/Llama-3-70b-chat-hf"),),
        route="provider_key", prompt=1_000, output=250,
    ),
    Workload(
        18, "marketing", "content", "studio", (("hf-inference", "black-forest-labs/FLUX.1-dev"),),
        operation="text-to-image", route="serverless",
    ),
    Workload(
        14, "marketing", "content", "studio", (("fal-ai", "black-forest-labs/FLUX.1-schnell"),), operation="text-to-image",
    ),
    Workload(
        6, "marketing", "content", "studio", (("fal-ai", "black-forest-labs/FLUX.1-dev"),), operation="text-to-image",
    ),
    # The company's own model, which is on no price list.
    Workload(
        5, "experiments", "platform", "notebook", (("together", "acme/support-llama-3.3-70b"),),
        prompt=800, output=200, priced=False,
    ),
    # A script that calls a provider and records neither the route nor a key.
    Workload(
        2, "experiments", "platform", "", (("nebius", "meta-llama/Llama-3.3-70B-Instruct"),),
        route="", prompt=500, output=150, priced=False,
    ),
)  # fmt: skip


def traffic(month: date, events: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the month's events, ordered by time. ``month`` is its first day."""
    chance = random.Random(f"{seed} {month}")
    book = PriceBook(bundled_tables())
    workloads = [(workload, *_model(workload, month, book)) for workload in WORKLOADS]
    weights = [workload.weight for workload in WORKLOADS]
    times = _times(month, events, chance)
    for moment, (workload, provider, model) in zip(times, chance.choices(workloads, weights, k=events), strict=True):
        yield _event(moment, workload, provider, model, chance)


def _event(moment: datetime, workload: Workload, provider: str, model: str, chance: random.Random) -> dict[str, Any]:
    status = 200
    if chance.randrange(1_000) < FAILURES_IN_1000:
        status = chance.choices([code for code, _ in FAILURES], [weight for _, weight in FAILURES])[0]
    event: dict[str, Any] = {
        "id": f"req_{chance.getrandbits(64):016x}",
        "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "account": ACCOUNT,
        "provider": provider,
        "model": model,
        "operation": workload.operation,
        "route": workload.route,
        "status": status,
        "usage": _usage(workload, provider, model, chance) if status == 200 else None,
        "response_id": f"{chance.getrandbits(80):020x}" if status == 200 else None,
        "inference_id": f"0-{chance.getrandbits(64):016x}" if status == 200 and workload.route == "routed" else None,
        "project": workload.project,
        "key": workload.key,
        "tags": {"team": workload.team, "user": f"u-{min(int(chance.expovariate(0.05)), 199) + 1}"},
        "latency_ms": _latency(workload, status, chance),
    }
    return {name: value for name, value in event.items() if value not in (None, "")}


def _usage(workload: Workload, provider: str, model: str, chance: random.Random) -> dict[str, int]:
    if workload.operation == "text-to-image":
        if provider == "hf-inference":
            return {"compute_ms": chance.randint(4_000, 14_000), "images": 1}
        return (
            {"images": 1, "megapixels": chance.choice((1, 1, 2))} if model.endswith("dev") else {"images": chance.randint(1, 4)}
        )
    prompt = max(8, round(chance.lognormvariate(0, 0.6) * workload.prompt))
    output = max(1, round(chance.lognormvariate(0, 0.7) * workload.output))
    usage = {"input_tokens": prompt, "output_tokens": output}
    if chance.randrange(100) < workload.cached:
        # Prompt caches work in blocks of 128 tokens, from the start of the prompt.
        read = prompt * chance.randint(40, 90) // 100 // 128 * 128
        if read:
            usage = {"input_tokens": prompt - read, "cache_read_tokens": read, "output_tokens": output}
    if workload.reasoning:
        usage["reasoning_tokens"] = output * chance.randint(workload.reasoning // 2, workload.reasoning) // 100
    return usage


def _latency(workload: Workload, status: int, chance: random.Random) -> int:
    if status != 200:
        return chance.randint(20, 400)
    per_token = chance.randint(6, 18)
    return 200 + chance.randint(0, 300) + (workload.output * per_token if workload.output else chance.randint(2_000, 9_000))


def _times(month: date, events: int, chance: random.Random) -> list[datetime]:
    """Return sorted times, more of them on weekdays and in working hours."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=hour) for hour in range(_days_in(month) * 24)]
    weights = [HOURS[hour.hour] * WEEKDAYS[hour.weekday()] for hour in hours]
    drawn = chance.choices(hours, weights, k=events)
    return sorted(hour + timedelta(microseconds=chance.randrange(3_600_000_000)) for hour in drawn)


def _model(workload: Workload, month: date, book: PriceBook) -> tuple[str, str]:
    """Return the (provider, model) of a workload: the first that has a price in the whole month.

    If none has, the same model at another provider, or any model with token prices on the same route.
    """
    if not workload.priced:
        return workload.models[0]
    moments = _price_changes(month, book)
    names = [model for _, model in workload.models]
    listed = {(rate.provider, rate.model) for table in book.tables for rate in table.rates if rate.text}
    others = sorted(listed, key=lambda pair: (names.index(pair[1]) if pair[1] in names else len(names), pair))
    for provider, model in (*workload.models, *(others if workload.prompt else ())):
        rate_key = (provider, model, workload.operation)
        if all(book.rate_for(None, workload.route, rate_key, moment) for moment in moments):
            return provider, model
    return workload.models[0]


def _price_changes(month: date, book: PriceBook) -> list[int]:
    """Return the instants of a month at which prices can change: its start, and whenever a table takes effect."""
    first = datetime(month.year, month.month, 1, tzinfo=UTC)
    start, end = ((moment - EPOCH) // MICROSECOND for moment in (first, first + timedelta(days=_days_in(month))))
    return [start, *sorted({table.effective_from for table in book.tables if start < table.effective_from < end})]


def _days_in(month: date) -> int:
    return ((month.replace(day=28) + timedelta(days=4)).replace(day=1) - month).days


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month such as 2026-10") from None


def _previous_month() -> date:
    return (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)


def _write(output: TextIO, month: date, events: int, seed: int) -> None:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    output.writelines(f"{encode(event)}\n" for event in traffic(month, events, seed))


def main() -> None:
    """Write the log."""
    parser = argparse.ArgumentParser(description="Write a month of plausible traffic as native events, one per line.")
    parser.add_argument("--month", type=_month, default=_previous_month(), help="YYYY-MM (default: the previous month)")
    parser.add_argument("--events", type=int, default=20_000, help="number of requests (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same log (default: %(default)s)")
    parser.add_argument("--output", default="-", help="file (default: standard output)")
    arguments = parser.parse_args()
    if arguments.output == "-":
        _write(sys.stdout, arguments.month, arguments.events, arguments.seed)
        return
    with Path(arguments.output).open("w", encoding="utf-8") as file:
        _write(file, arguments.month, arguments.events, arguments.seed)


if __name__ == "__main__":
    main()
