"""The worked examples, from ingested events to exported bytes. Figures are worked out by hand."""

import csv
import io
from decimal import Decimal

import pytest

LLAMA_3 = "meta-llama/Llama-3-70b-chat-hf"
SHEET = """\
source: a test
route: any
currency: USD
provider: together
models:
  - model: cheap
    versions:
      - from: 2026-01-01
        usd_per_million: {input_tokens: 0.0375}
        source: a test
"""


def request(number, time, model=LLAMA_3, **usage):
    stated = {"provider": "together", "route": "routed", "status": 200}
    return {"id": f"req-{number}", "time": time, "model": model, **stated, "usage": usage}


def a_million_tokens_a_day(month):
    return [request(day, f"{month}-{day:02d}T10:00:00Z", input_tokens=1_000_000) for day in range(1, 31)]


def exported(command_line, account, month, format_="csv"):
    path = command_line.folder / f"{account}.{format_}"
    command_line.done("statements", "export", account, month, "--format", format_, "--output", path)
    return path.read_bytes()


def rows(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def amounts(command_line, account, month):
    return [
        (row["line"], row["amount_usd"]) for row in rows(exported(command_line, account, month)) if row["section"] == "payable"
    ]


def billed(command_line, account, month):
    return sum(Decimal(row["BilledCost"]) for row in rows(exported(command_line, account, month, "focus")))


def test_example_1_to_the_byte(command_line):
    command_line.done("ingest", command_line.write_log(a_million_tokens_a_day("2026-11")), "--account", "acme", "--plan", "pro")
    header, usage, fee, credit, residual, total, end = exported(command_line, "acme", "2026-11").split(b"\r\n")
    start = "1,acme,2026-11,draft,payable"
    what = f'"{LLAMA_3} at together, input tokens",routed,together,{LLAMA_3},,input_tokens,30000000,token'
    assert usage.decode().startswith(f"{start},usage,,{what},0.000000900000,1,false,27.000000000000,USD,")
    assert fee.decode() == f"{start},subscription,,Subscription pro,,,,,days,30,days,,,,9.000000000000,USD,,,,"
    assert credit.decode() == f"{start},credit,,Included credit,,,,,,,,,,,-2.000000000000,USD,,,,"
    assert residual.decode() == f"{start},residual,,Rounding of the total to cents,,,,,,,,,,,0.000000000000,USD,,,,"
    assert total.decode() == f"{start},total,,Total payable,,,,,,,,,,,34.000000000000,USD,,,,"
    assert (header[:15], end) == (b"schema_version,", b"")
    days = rows(exported(command_line, "acme", "2026-11", "daily"))
    assert {row["amount_usd"] for row in days if row["quantity_kind"] == "input_tokens"} == {"0.900000000000"}
    assert billed(command_line, "acme", "2026-11") == 34


def test_example_2_is_26_90(command_line):
    command_line.done("ingest", command_line.write_log(a_million_tokens_a_day("2026-09")), "--account", "acme")
    assert amounts(command_line, "acme", "2026-09") == [
        ("usage", "27.000000000000"),
        ("credit", "-0.100000000000"),
        ("residual", "0.000000000000"),
        ("total", "26.900000000000"),
    ]
    assert billed(command_line, "acme", "2026-09") == Decimal("26.9")
    assert b"Usage exceeds what the plan allows" in exported(command_line, "acme", "2026-09", "html")


def test_example_6_is_half_of_the_fee(command_line):
    command_line.done("accounts", "create", "late")
    command_line.done("accounts", "set-plan", "late", "pro", "--from", "2026-11-16")
    assert amounts(command_line, "late", "2026-11")[0] == ("subscription", "4.500000000000")
    (row,) = rows(exported(command_line, "late", "2026-11", "focus"))
    assert (row["ChargeCategory"], row["BilledCost"], row["ChargeDescription"]) == (
        "Purchase",
        "4.5",
        "Subscription pro, 15 of 30 days from 2026-11-16",
    )


@pytest.fixture
def cheap(command_line):
    """Three requests of one token at $0.0375 per million: 38 nano-dollars each."""
    sheet = command_line.folder / "cheap.yaml"
    sheet.write_text(SHEET)
    command_line.done("db", "upgrade")
    command_line.done("prices", "import", sheet)
    records = [request(number, "2026-11-03T10:00:00Z", "cheap", input_tokens=1) for number in range(3)]
    command_line.done("ingest", command_line.write_log(records), "--account", "acme")
    return command_line


def test_example_9_has_a_separate_rounding_line_in_each_file(cheap):
    assert amounts(cheap, "acme", "2026-11")[:2] == [("usage", "0.000000112500"), ("rounding", "0.000000001500")]
    days = [(row["line"], row["amount_usd"]) for row in rows(exported(cheap, "acme", "2026-11", "daily")) if row["amount_usd"]]
    assert days == [("usage", "0.000000112500"), ("rounding", "0.000000001500")]
    usage, rounding, _ = rows(exported(cheap, "acme", "2026-11", "focus"))
    assert (usage["ListUnitPrice"], usage["PricingQuantity"], usage["BilledCost"]) == ("0.0000000375", "3", "0.0000001125")
    assert (rounding["ChargeCategory"], rounding["BilledCost"]) == ("Adjustment", "0.0000000015")
