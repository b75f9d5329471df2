"""``metering prices discount``: what an account pays less, as prices with versions."""

import pytest

from support.request_records import LLAMA, request

DISCOUNT = ("prices", "discount", "--account", "acme", "--percent", "12.5", "--from", "2026-12-01")


@pytest.fixture
def acme(command_line):
    command_line.done("db", "upgrade")
    command_line.done("accounts", "create", "acme")
    return command_line


def test_requests_from_the_day_on_are_charged_less(acme):
    acme.done(*DISCOUNT, "--provider", "together")
    records = [request(1, time="2026-11-30T23:59:59Z"), request(2, time="2026-12-01T00:00:00Z")]
    acme.done("ingest", acme.write_log(records))
    # $1.04 a million, and $0.91 from December on; 1,000 tokens each
    assert acme.json("spend", "--start", "2026-11-01", "--end", "2027-01-01")["total"]["amount_nano_usd"] == 1_040_000 + 910_000
    acme.done("verify")


def test_the_discount_says_what_it_is_made_of(acme):
    told = acme.json(*DISCOUNT, "--provider", "together", "--model", f"{LLAMA}-Turbo")
    assert (told["prices"], told["rounded"], told["kept"]) == (1, 0, [])
    answer = acme.json("prices", "explain", LLAMA, "--provider", "together", "--account", "acme", "--route", "routed")
    assert [(each["source"], each["standing"]) for each in answer["sources"]][:2] == [
        ("discount", "wins"),
        ("hf_router", "outranked"),
    ]
    assert answer["tiers"][0]["provenance"].startswith("12.5 % off version 11 of hf_router: genai-prices")


def test_run_again_it_records_nothing_and_says_so(acme):
    assert len(acme.json(*DISCOUNT)["tables_added"]) > 0
    acme.now += 1_000_000
    assert acme.json(*DISCOUNT)["tables_added"] == []
    assert "was recorded already" in acme.done(*DISCOUNT)


def test_prices_that_had_to_be_rounded_are_counted(acme):
    told = acme.json("prices", "discount", "--account", "acme", "--percent", "0.0001", "--from", "2026-12-01")
    assert 0 < told["rounded"] <= told["prices"]
    acme.now += 1
    text = acme.done("prices", "discount", "--account", "acme", "--percent", "0.0002", "--from", "2026-12-01")
    assert "rounded to the nearest, halves up" in text


def test_a_discount_ends_and_can_be_given_again(acme):
    acme.done(*DISCOUNT, "--model", LLAMA, "--provider", "together")
    acme.now += 1
    acme.done("prices", "discount", "--account", "acme", "--percent", "0", "--from", "2026-12-01")
    answer = acme.json("prices", "explain", LLAMA, "--provider", "together", "--account", "acme", "--route", "routed")
    assert [each["standing"] for each in answer["sources"]][:2] == ["withdrawn", "wins"]
    acme.now += 1
    assert acme.json(*DISCOUNT, "--model", LLAMA, "--provider", "together")["tables_added"]
    answer = acme.json("prices", "explain", LLAMA, "--provider", "together", "--account", "acme", "--route", "routed")
    assert [each["standing"] for each in answer["sources"]][:2] == ["wins", "outranked"]


def test_a_sheet_that_changes_a_base_price_says_that_discounts_follow(acme):
    acme.done(*DISCOUNT, "--model", LLAMA, "--provider", "together")
    acme.now += 1
    (acme.folder / "prices.yaml").write_text(SHEET)
    text = acme.done("prices", "import", acme.folder / "prices.yaml")
    assert "1 price table from prices.yaml was new" in text
    assert "discounts follow: 4 price tables of them were new" in text
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
def test_a_discount_that_can_not_be_given_changes_nothing(acme, arguments, code):
    acme.run(*DISCOUNT, *arguments)
    assert (acme.code, acme.errors.count("\n")) == (2, 1)
    assert acme.errors.startswith(f"error[{code}]: ")
    assert {each["layer"] for each in acme.json("prices", "tables")["tables"]} == {"bundled"}
