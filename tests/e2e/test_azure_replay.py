"""A production trace, replayed as Llama-3.3-70B routed to Together: every figure is checked by separate arithmetic."""

import csv
import io
from decimal import Decimal

import pytest

from support.places import DATA

TRACE = DATA / "azure" / "AzureLLMInferenceTrace_code.csv"
PRICE = Decimal("1.04") / 1_000_000
SMALL = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:17:03.9799600,4808,10\r\n"
    "2023-11-16 18:17:04.0319600,3180,8\r\n"
    "2023-11-16 18:17:04.0319600,3180,8"
)


def replay(command_line, trace):
    return command_line.json(
        "ingest", trace, "--account", "acme", "--plan", "pro",
        "--map", "time=TIMESTAMP,input_tokens=ContextTokens,output_tokens=GeneratedTokens", "--time-zone", "UTC",
        "--replay-from", "2026-11-03", "--provider", "together", "--model", "meta-llama/Llama-3.3-70B-Instruct",
        "--route", "routed",
    )["total"]  # fmt: skip


def prove(command_line, trace):
    """Ingest the trace twice; every answer must match Decimal arithmetic over the file. Return the usage in dollars."""
    rows = list(csv.DictReader(io.StringIO(trace.read_text())))
    given = sum(int(row["ContextTokens"]) for row in rows)
    made = sum(int(row["GeneratedTokens"]) for row in rows)
    usage = (given + made) * PRICE
    first = replay(command_line, trace)
    assert (first["accepted"], first["received"], first["unpriced"]) == (len(rows), len(rows), 0)
    spent = command_line.json("spend", "--month", "2026-11")["total"]
    assert Decimal(spent["amount_usd"]) == usage
    assert spent["quantities"] == {"input_tokens": given, "output_tokens": made}
    statement = command_line.json("statements", "show", "acme", "2026-11")
    lines = {line["quantity_kind"]: line for line in statement["lines"] if line["kind"] == "usage"}
    assert (lines["input_tokens"]["quantity"], Decimal(lines["input_tokens"]["amount_usd"])) == (given, given * PRICE)
    assert (lines["output_tokens"]["quantity"], Decimal(lines["output_tokens"]["amount_usd"])) == (made, made * PRICE)
    text = command_line.done("statements", "export", "acme", "2026-11")
    exported = [row for row in csv.DictReader(io.StringIO(text)) if row["section"] == "payable"]
    total = Decimal(exported[-1]["amount_usd"])
    assert exported[-1]["line"] == "total"
    assert sum(Decimal(row["amount_usd"]) for row in exported[:-1]) == total
    assert total == max(usage - 2, Decimal(0)).quantize(Decimal("0.01")) + 9
    second = replay(command_line, trace)
    assert (second["accepted"], second["duplicate"]) == (0, len(rows))
    assert command_line.json("statements", "show", "acme", "2026-11") == statement
    command_line.done("verify")
    return usage


def test_a_small_trace_of_the_same_shape_costs_what_its_tokens_cost(command_line):
    trace = command_line.folder / "trace.csv"
    trace.write_bytes(SMALL.encode())
    # (4808 + 3180 + 3180 + 10 + 8 + 8) tokens at $1.04 a million; two equal rows are two requests
    assert prove(command_line, trace) == Decimal("0.01164176")


@pytest.mark.skipif(not TRACE.exists(), reason="the Azure trace is not at hand (../shared/data/azure)")
def test_the_azure_code_trace_costs_19_dollars_03_81048(command_line):
    assert prove(command_line, TRACE) == Decimal("19.0381048")
