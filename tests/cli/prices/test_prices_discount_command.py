"""``metering prices discount``: a percentage off an account's prices, as price tables with versions."""

import pytest

from support.request_records import LLAMA, request

DISCOUNT = ("prices", "discount", "--account", "acme", "--percent", "12.5", "--from", "2026-12-01")


@pytest.fixture
def acme(command_line):
    command_line.done("db", "upgrade")
    command_line.done("accounts", "create", "acme")
    return command_line


def test_requests_are_charged_less_from_the_discounts_day_on(acme):
    acme.done(*DISCOUNT, "--provider", "together")
    records = [request(1, time="2026-11-30T23:59:59Z"), request(2, time="2026-12-01T00:00:00Z")]
    acme.done("ingest", acme.write_log(records))
    # $1.04 a million, and $0.91 from December on; 1,000 tokens each
    assert acme.json("spend", "--start", "2026-11-01", "--end", "2027-01-01")["total"]["amount_nano_usd"] == 1_040_000 + 910_000
    acme.done("verify")


def test_a_discount_is_printed_and_explained(acme):
    answer = acme.json(*DISCOUNT, "--provider", "together_ai", "--model", f"{LLAMA}-Turbo")
    assert (answer["prices"], answer["rounded"], answer["kept"]) == (1, 0, [])
    assert (answer["percent"], answer["provider"], answer["model"]) == ("12.5", "together", f"{LLAMA}-Turbo")
    answer = acme.json("prices", "explain", LLAMA, "--provider", "together", "--account", "acme", "--route", "routed")
    assert [(each["source"], each["standing"]) for each in answer["sources"]][:2] == [
        ("discount", "wins"),
        ("hf_router", "outranked"),
    ]
    assert answer["tiers"][0]["provenance"].startswith("12.5 % off version 11 of hf_router: genai-prices")


def test_repeating_a_discount_adds_nothing_and_reports_it(acme):
    assert len(acme.json(*DISCOUNT)["tables_added"]) > 0
    acme.now += 1_000_000
    assert acme.json(*DISCOUNT)["tables_added"] == []
    assert "this discount was recorded already" in acme.done(*DISCOUNT)


def test_rounded_prices_are_counted(acme):
    answer = acme.json("prices", "discount", "--account", "acme", "--percent", "0.0001", "--from", "2026-12-01")
    assert 0 < answer["rounded"] <= answer["prices"]
    acme.now += 1
    text = acme.done("prices", "discount", "--account", "acme", "--percent", "0.0002", "--from", "2026-12-01")
    assert "were rounded half up" in text


def test_a_discount_can_be_ended_and_given_again(acme):
    acme.done(*DISCOUNT, "--model", LLAMA, "--provider", "together")
    acme.now += 1
    acme.done("prices", "discount", "--account", "acme", "--percent", "0", "--from", "2026-12-01")
    answer = acme.json("prices", "explain", LLAMA, "--provider", "together", "--account", "acme", "--route", "routed")
    assert [each["standing"] for each in answer["sources"]][:2] == ["withdrawn", "wins"]
    acme.now += 1
    assert acme.json(*DISCOUNT, "--model", LLAMA, "--provider", "together")["tables_added"]
    answer = acme.json("prices", "explain", LLAMA, "--provider", "together", "--account", "acme", "--route", "routed")
    assert [each["standing"] for each in answer["sources"]][:2] == ["wins", "outranked"]


def test_importing_a_base_price_reports_that_discounts_follow(acme):
    acme.done(*DISCOUNT, "--model", LLAMA, "--provider", "together")
    acme.now += 1
    (acme.folder / "prices.yaml").write_text(SHEET)
    text = acme.done("prices", "import", acme.folder / "prices.yaml")
    assert "1 price table from prices.yaml was added" in text
    assert "4 discount tables were added to follow the new prices" in text
    # $0.80 a million, less an eighth
    acme.done("ingest", acme.write_log([request(1, time="2026-12-01T00:00:00Z")]))
    assert acme.json("spend", "--start", "2026-12-01", "--end", "2027-01-01")["total"]["amount_nano_usd"] == 700_000


SHEET = f"""\
source: our contract
route: any
currency: USD
provider: together
models:
  - model: {LLAMA}-Turbo
    versions:
      - from: 2026-12-01
        usd_per_million: {{input_tokens: 0.8, output_tokens: 0.8}}
        source: the contract of 2026
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--percent", "101"], "invalid_discount"),
        (["--percent", "many"], "invalid_discount"),
        (["--model", "no/such-model"], "invalid_discount"),
        (["--account", "nobody"], "not_found"),
    ],
)
def test_an_invalid_discount_changes_nothing(acme, arguments, code):
    acme.run(*DISCOUNT, *arguments)
    assert (acme.code, acme.errors.count("\n")) == (2, 1)
    assert acme.errors.startswith(f"error[{code}]: ")
    assert {each["layer"] for each in acme.json("prices", "tables")["items"]} == {"bundled"}
