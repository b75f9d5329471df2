"""Logs as gateways really write them cost what they should, by file and by HTTP, and the ledger verifies."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from metering.domain.usage.outcomes import BatchResult
from metering.formats.options import DecodeOptions
from metering.operations.prices.import_prices import PriceSheet, import_prices
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from support.places import DATA

CASES = DATA / "cases"
MEDIA = {".ndjson": "application/x-ndjson", ".csv": "text/csv"}
CREATED = 1_793_700_000


class Found(NamedTuple):
    """What a log came to."""

    accepted: int
    unpriced: int
    failed: int
    amount_nano: int


def by_file(api, path: Path, log_format: str | None) -> None:
    options = DecodeOptions(source="log", now=api.meter.now, account="acme", provider="together", route="routed")
    request = LogRequest(str(path), options, log_format)  # type: ignore[arg-type]
    result: BatchResult = ingest_log(api.meter.engine, api.meter.ingester, request, declared_tags=frozenset())
    assert (result.rejected, result.conflict) == (0, 0)


def by_http(api, path: Path, log_format: str | None) -> None:
    query = {"source": "log", "provider": "together", "route": "routed", "format": log_format or "openai"}
    headers = {"content-type": MEDIA[path.suffix]}
    client = api.client("admin", account="acme")
    answer = client.post("/v1/events", content=path.read_bytes(), headers=headers, params=query).json()
    assert (answer["rejected"], answer["conflict"]) == (0, 0)


def found(api) -> Found:
    (row,) = api.meter.spend()
    assert not api.meter.violations()
    return Found(row.events, row.unpriced_events, row.failed_events, row.amount_nano)


def answer(number: int, usage: Any, **changes: Any) -> dict[str, Any]:
    """A bare response; ``llama`` costs 1,000 nano-dollars a token in and 2,000 a token out."""
    plain = {
        "id": f"chatcmpl-9f2c5d1e7a8b{number:04x}", "object": "chat.completion", "created": CREATED, "model": "llama",
        "choices": [{"index": 0, "message": {"content": "words"}, "finish_reason": "stop"}], "usage": usage,
    }  # fmt: skip
    return {**plain, **changes}


def chunk(number: int, usage: Any = None) -> dict[str, Any]:
    return {**answer(number, usage), "object": "chat.completion.chunk", "choices": [] if usage else [{"index": 0}]}


def used(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


SHORT = "chatcmpl-17"
REASONING = {"completion_tokens_details": {"reasoning_tokens": 40}}
LOGS: dict[str, tuple[list[dict[str, Any]], Found]] = {
    "answers without usage": ([answer(1, None), answer(2, used(0, 0)), answer(3, {})], Found(3, 3, 0, 0)),
    "an answer and two failures": (
        [answer(1, used(10, 5)), answer(2, None, error={"code": "overloaded"}), answer(3, used(0, 0), status="failed")],
        Found(3, 0, 2, 20_000),
    ),
    # 10 in, 45 out with 40 of reasoning outside the 5: 10,000 + 90,000.
    "reasoning outside completion": (
        [answer(1, {**used(10, 5), **REASONING, "total_tokens": 55})],
        Found(1, 0, 0, 100_000),
    ),
    "chunks, one a line": (
        [chunk(1), chunk(2), chunk(1, used(10, 5)), chunk(1, used(0, 0)), chunk(3)],
        Found(3, 2, 0, 20_000),
    ),
    "one response ID, four requests": (
        [{"id": f"log-{n}", "response": answer(0, used(n, 0), id=SHORT)} for n in (1, 2)]
        + [answer(0, used(n, 0), id=SHORT) for n in (3, 4)],
        Found(4, 0, 0, 10_000),
    ),
    "an answer from the gateway's cache": (
        [answer(1, used(10, 5)), {"id": "log-2", "cache_hit": True, "response": answer(1, used(10, 5))}],
        Found(2, 0, 0, 20_000),
    ),
    "a provider's own cost": (
        [answer(1, used(10, 5, cost=0.5)), answer(2, used(10, 5, estimated_cost=0.25), model="no price")],
        Found(2, 0, 0, 250_020_000),
    ),
}


@pytest.mark.parametrize("ingest", [by_file, by_http])
@pytest.mark.parametrize("name", LOGS)
def test_a_log_costs_what_its_requests_cost(api, tmp_path, name, ingest):
    records, expected = LOGS[name]
    path = tmp_path / "log.ndjson"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    ingest(api, path, None)
    assert found(api) == expected
    ingest(api, path, None)
    assert found(api) == expected


def test_an_event_shows_its_stated_failure_and_the_providers_cost(api, tmp_path):
    path = tmp_path / "log.ndjson"
    records = [answer(1, None, error={"code": "overloaded"}), answer(2, used(10, 5, cost=0.5))]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    by_http(api, path, None)
    failed, answered = api.client("admin").get("/v1/events?account=acme").json()["items"]
    assert (failed["failure"], failed["price_grade"], failed["charge_nano_usd"]) == ("overloaded", "exempt", 0)
    assert (answered["failure"], answered["charge_nano_usd"], answered["reported_cost_nano_usd"]) == ("", 20_000, 500_000_000)


def test_a_cache_hit_is_listed_by_its_grade_and_billed_by_nobody(api, tmp_path):
    path = tmp_path / "log.ndjson"
    path.write_text(json.dumps({"id": "log-2", "cache_hit": True, "response": answer(1, used(10, 5))}) + "\n")
    by_http(api, path, None)
    (event,) = api.client("admin").get("/v1/events?account=acme&price_grade=gateway_cache").json()["items"]
    assert (event["charge_nano_usd"], event["billable"], event["quantities"]) == (0, False, {})
    (row,) = api.meter.spend(group_by=("price_grade", "billable"))
    assert (row.group, row.events, row.failed_events) == (("gateway_cache", "false"), 1, 0)
    statement = api.meter.statement(202611)
    assert (statement.events, statement.failed_events, statement.usage_nano) == (1, 0, 0)


# From the cases' own descriptions: events, unpriced, failed, nano-dollars.
RIGHT = {
    "both-token-names/in.ndjson": Found(2, 0, 0, 42_550_000),
    "gateway-cache-hit/in.ndjson": Found(2, 0, 0, 3_000_000),
    "groq-x-groq/in.ndjson": Found(1, 0, 0, 61_000),
    "image-zero-usage/in.ndjson": Found(3, 0, 0, 240_000_000),
    "litellm-spendlogs-csv/in.csv": Found(3, 0, 1, 1_200_000),
    "litellm-standard-payload/in.ndjson": Found(1, 0, 0, 1_200_000),
    "no-usage-no-status/in.ndjson": Found(3, 3, 0, 0),
    "no-usage-no-status/in-native.ndjson": Found(2, 2, 0, 0),
    "reasoning-outside/in.ndjson": Found(3, 0, 0, 15_620_000 + 19_220_000 + 13_820_000),
    "rerank-units/in.ndjson": Found(2, 2, 0, 0),
    "short-response-ids/in.ndjson": Found(4, 0, 0, 14_000_000),
}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the collected cases are not at {CASES}")
@pytest.mark.parametrize("ingest", [by_file, by_http])
@pytest.mark.parametrize("case", RIGHT)
def test_the_collected_cases_give_their_right_values(api, case, ingest):
    sheet = PriceSheet((CASES / "prices.yaml").read_bytes(), "prices.yaml")
    import_prices(api.meter.engine, sheet, account=None, rate=False, now=api.meter.now)
    path = CASES / case
    ingest(api, path, "csv" if path.suffix == ".csv" else "native" if "native" in path.name else "openai")
    assert found(api) == RIGHT[case]
