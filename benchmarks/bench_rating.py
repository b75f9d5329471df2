"""Charges per second: the formula compared with genai-prices and with the bare arithmetic, in one run.

    python benchmarks/bench_rating.py [--events N] [--repetitions N]

Each candidate charges the same events in turn, round after round, so that noise on the machine affects all of them. The bare
limit is multiplying, adding and rounding up two prices inline in a loop: no call, no check, no value with a rate.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from genai_prices import Usage, calc_price
from rich.console import Console
from rich.table import Table

from pricing.book import PriceBook
from pricing.bundled import bundled_tables
from pricing.quantities import Quantities
from pricing.rates import Price, Rate
from pricing.rating import charge, text_amount

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
MODELS = (
    ("together", LLAMA),
    ("cerebras", LLAMA),
    ("fireworks-ai", "deepseek-ai/DeepSeek-R1-0528"),
    ("novita", LLAMA),
)
NOVEMBER_2026 = datetime(2026, 11, 3, tzinfo=UTC)
MICROS = int(NOVEMBER_2026.timestamp()) * 1_000_000
TARGET = 1_000_000

Event = tuple[Quantities, Rate]


def mixed_events(count: int, seed: int = 11) -> list[Event]:
    """Chat requests of a few models: 70% plain, 20% with cached tokens, 10% at a rate with a cache price."""
    chance = random.Random(seed)
    book = PriceBook(bundled_tables())
    found = [book.rate_for(None, "routed", (provider, model, "chat"), MICROS) for provider, model in MODELS]
    rates = [rate for rate in found if rate is not None]
    with_cache = Rate(
        provider="together",
        model="with-a-cache-price",
        prices={"input_tokens": Price(1_000_000), "cache_read_tokens": Price(100_000), "output_tokens": Price(2_000_000)},
    )
    events = []
    for _ in range(count):
        kind = chance.random()
        cached = chance.randrange(1, 3_000) if kind >= 0.7 else 0
        used = Quantities(
            input_tokens=chance.randrange(1, 4_000), cache_read_tokens=cached, output_tokens=chance.randrange(1, 800)
        )
        events.append((used, with_cache if kind >= 0.9 else chance.choice(rates)))
    return events


def text_amount_all(texts: Sequence[tuple[Rate, int, int, int]]) -> None:
    """The formula alone, as ingest charges a batch of text requests column by column."""
    for rate, fresh, cached, output in texts:
        text_amount(rate, fresh, cached, 0, 0, output)


def charge_all(events: Sequence[Event]) -> None:
    """The formula, with a Charge that has its rate."""
    for quantities, rate in events:
        charge(quantities, rate)


def look_up_and_charge_all(events: Sequence[Event]) -> None:
    """The same with a rate lookup in the book before each charge."""
    for quantities, rate in events:
        found = BOOK.rate_for(None, "routed", (rate.provider, rate.model, "chat"), MICROS, quantities.prompt_tokens)
        if found is not None:
            charge(quantities, found)


def bare_all(amounts: Sequence[tuple[int, int, int, int]]) -> None:
    """Multiply, add, round up: the cost of the arithmetic alone in this interpreter."""
    for used_in, used_out, of_input, of_output in amounts:
        -(-(used_in * of_input + used_out * of_output) // 1_000)


def genai_prices_all(usages: Sequence[Usage]) -> None:
    """genai-prices for Llama-3.3-70B through the router at Together."""
    for usage in usages:
        calc_price(usage, LLAMA, provider_id="huggingface_together", genai_request_timestamp=NOVEMBER_2026)


BOOK = PriceBook(bundled_tables())


def speeds(work: Sequence[tuple[str, Callable[[], None], int]], repetitions: int) -> dict[str, list[float]]:
    """Run each candidate once per round; return charges per second by name."""
    measured: dict[str, list[float]] = {name: [] for name, _, _ in work}
    for _ in range(repetitions):
        for name, run, count in work:
            began = time.perf_counter()
            run()
            measured[name].append(count / (time.perf_counter() - began))
    return measured


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, default=100_000, help="events per repetition (default %(default)s)")
    parser.add_argument("--repetitions", type=int, default=9, help="rounds (default %(default)s)")
    options = parser.parse_args()
    events = mixed_events(options.events)
    amounts = [
        (used.input_tokens + used.cache_read_tokens, used.output_tokens, rate.vector[0], rate.vector[4])
        for used, rate in events
    ]
    texts = [(rate, used.input_tokens, used.cache_read_tokens, used.output_tokens) for used, rate in events]
    few = events[: max(1, options.events // 20)]
    usages = [
        Usage(
            input_tokens=used.prompt_tokens, cache_read_tokens=used.cache_read_tokens or None, output_tokens=used.output_tokens
        )
        for used, _ in few
    ]
    work: list[tuple[str, Callable[[], None], int]] = [
        ("bare multiply, add, round up", lambda: bare_all(amounts), len(amounts)),
        ("pricing.rating.text_amount", lambda: text_amount_all(texts), len(texts)),
        ("pricing.rating.charge", lambda: charge_all(events), len(events)),
        ("... with the rate lookup", lambda: look_up_and_charge_all(events), len(events)),
        ("genai-prices calc_price", lambda: genai_prices_all(usages), len(usages)),
    ]
    measured = speeds(work, options.repetitions)
    bare, peer = (statistics.median(measured[work[position][0]]) for position in (0, -1))
    table = Table(title=f"Charges per second, {options.events:,} events, {options.repetitions} repetitions")
    table.add_column("candidate")
    for column in ("median", "min", "max", "of the bare limit", "times genai-prices"):
        table.add_column(column, justify="right")
    for name, figures in measured.items():
        median = statistics.median(figures)
        speeds_told = (f"{median:,.0f}", f"{min(figures):,.0f}", f"{max(figures):,.0f}")
        table.add_row(name, *speeds_told, f"{median / bare:.1%}", f"{median / peer:.0f}")
    Console(width=110).print(table)
    reached = statistics.median(measured["pricing.rating.charge"])
    Console().print(f"target {TARGET:,} per second: {'reached' if reached >= TARGET else 'missed'}")


if __name__ == "__main__":
    main()
