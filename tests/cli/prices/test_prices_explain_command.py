"""``metering prices explain`` and ``history``: why a request has its price, and each list's prices over time."""

import pytest

from support.request_records import LLAMA

SHEET = """\
source: our contract
route: any
currency: USD
provider: together
models:
  - model: meta-llama/Llama-3.3-70B-Instruct
    versions:
      - from: 2026-12-01
        usd_per_million: {input_tokens: 0.5, output_tokens: 0.7}
        source: the contract of 2026
        tiers: [{context_from: 100000, usd_per_million: {input_tokens: 1, output_tokens: 2}}]
"""
TURBO = f"{LLAMA}-Turbo"


@pytest.fixture
def contracted(command_line):
    """Acme has its own prices at Together from December on."""
    command_line.done("db", "upgrade")
    command_line.done("accounts", "create", "acme")
    path = command_line.folder / "contract.yaml"
    path.write_text(SHEET)
    command_line.now += 1_000_000
    command_line.done("prices", "import", path, "--account", "acme")
    command_line.now += 1_000_000
    return command_line


def explained(command_line, *arguments):
    return command_line.json("prices", "explain", *arguments)


def standings(answer):
    return [(each["layer"], each["source"], each["match"], each["standing"]) for each in answer["sources"]]


def test_every_step_from_the_stated_name_to_the_price_is_in_the_answer(contracted):
    answer = explained(
        contracted, f"{TURBO}:fastest", "--provider", "together_ai", "--account", "acme", "--route", "routed",
        "--at", "2026-12-03", "--context-tokens", "100000",
    )  # fmt: skip
    assert (answer["model"], answer["suffix"], answer["provider"]) == (TURBO, ":fastest", "together")
    assert standings(answer) == [
        ("account", "our contract", "alias", "wins"),
        ("bundled", "hf_router", "alias", "outranked"),
        ("bundled", "together", "none", "not_listed"),
    ]
    assert answer["sources"][0]["known_as"] == LLAMA
    assert "huggingface.js" in answer["sources"][0]["alias_source"]
    assert answer["reason"] == "priced"
    (tier,) = [each for each in answer["tiers"] if each["rate_id"] == answer["rate_id"]]
    assert (tier["context_from"], tier["provenance"]) == (100_000, "the contract of 2026")
    assert tier["prices"]["input_tokens"] == {"price_usd": "0.000001000000", "per": 1, "unit": "token"}


def test_the_printed_explanation_is_in_words_and_fits_one_screen(contracted):
    text = contracted.done("prices", "explain", TURBO, "--provider", "together", "--account", "acme", "--route", "routed")
    assert len(text.splitlines()) < 24
    assert "our contract" in text and f"{LLAMA} (alias)" in text and "yes" in text
    assert "no: a list above has a price" in text
    assert "input tokens: $0.50 / 1M" in text
    assert "priced at the tier from 0 (tiers from 0, 100,000)" in text
    assert "not published, charged at the input price" in text


def test_a_list_whose_price_is_not_yet_in_force_shows_when_it_will_be(contracted):
    answer = explained(
        contracted, LLAMA, "--provider", "together", "--account", "acme", "--route", "routed", "--at", "2026-11-30"
    )
    assert standings(answer)[:2] == [
        ("account", "our contract", "exact", "not_yet"),
        ("bundled", "hf_router", "exact", "wins"),
    ]
    assert answer["sources"][0]["next_from"] == "2026-12-01T00:00:00.000000Z"
    assert answer["tiers"][0]["prices"]["input_tokens"]["price_usd"] == "0.000001040000"


def test_known_at_leaves_out_prices_that_were_recorded_later(contracted):
    request = (LLAMA, "--provider", "together", "--account", "acme", "--route", "routed", "--at", "2026-12-03")
    assert explained(contracted, *request)["sources"][0]["source"] == "our contract"
    before = explained(contracted, *request, "--known-at", "2026-12-05T12:00:00Z")
    assert (before["sources"][0]["source"], before["reason"]) == ("hf_router", "priced")
    assert explained(contracted, *request, "--known-at", "2026-12-05T11:59:59Z")["reason"] == "not_listed"


@pytest.mark.parametrize(
    ("arguments", "reason", "words"),
    [
        ([LLAMA], "other_provider", "No price at unknown; there are prices at: fireworks-ai, groq"),
        ([f"{LLAMA}:cheapest"], "other_provider", "it does not state the provider"),
        ([f"{LLAMA}:groq", "--provider", "together"], "priced", "suffix: groq conflicts with provider together; the explicit"),
        ([LLAMA, "--provider", "together", "--route", "provider_key"], "other_route", "there are prices for: routed"),
        (
            [LLAMA, "--provider", "together", "--account", "acme"],
            "priced",
            "nor the account's setting states it",
        ),
        ([LLAMA, "--provider", "together", "--at", "2025-01-01"], "not_yet", "a price from 2025-11-24 15:39:34Z on"),
        (["meta-llama/Llama-3.2-3B-Instruct-Turbo", "--provider", "together"], "withdrawn", "the model was withdrawn"),
        (["no/such-model", "--provider", "together"], "not_listed", "no price list has the model"),
        (["black-forest-labs/FLUX.1-dev", "--provider", "hf-inference"], "priced", "hf-inference is always serverless"),
    ],
)
def test_the_reason_for_a_price_or_none_is_explained(contracted, arguments, reason, words):
    assert explained(contracted, *arguments)["reason"] == reason
    assert words in contracted.done("prices", "explain", *arguments)


def test_the_route_comes_from_the_accounts_setting(contracted):
    contracted.done("accounts", "set-route", "acme", "provider_key")
    answer = explained(contracted, LLAMA, "--provider", "together", "--account", "acme")
    assert (answer["route"], answer["route_from"]) == ("provider_key", "account")


def test_a_request_is_charged_at_the_explained_rate(contracted):
    record = {
        "id": "r", "time": "2026-12-03T00:00:00Z", "account": "acme", "provider": "together", "model": TURBO, "route": "routed",
        "status": 200, "usage": {"input_tokens": 2_000_000},
    }  # fmt: skip
    contracted.done("ingest", contracted.write_log([record]))
    # $1 for a million from 100,000 tokens on
    assert contracted.json("spend")["total"]["amount_nano_usd"] == 2_000_000_000


def test_the_history_has_the_period_of_each_price(contracted):
    versions = contracted.json("prices", "history", TURBO, "--provider", "together")["items"]
    periods = [(each["source"], each["effective_from"][:10], each["until"] and each["until"][:10]) for each in versions]
    assert periods == [
        ("our contract", "2026-12-01", None),
        ("hf_router", "2025-11-24", "2026-10-19"),
        ("hf_router", "2026-10-19", None),
    ]
    assert [each["context_from"] for each in versions[0]["tiers"]] == [0, 100_000]
    assert versions[0]["account"] == "acme"
    text = contracted.done("prices", "history", LLAMA, "--provider", "together", "--source", "hf_router")
    assert "2025-11-24 15:39:34Z  2026-10-19        0.88         0.88" in text
    assert "our contract" not in text


def test_the_history_with_known_at_leaves_out_prices_recorded_later(contracted):
    history = ("prices", "history", LLAMA, "--provider", "together", "--known-at", "2026-12-05T12:00:00Z")
    assert {each["source"] for each in contracted.json(*history)["items"]} == {"hf_router"}


@pytest.mark.parametrize("arguments", [["history", "no/such-model"], ["explain", LLAMA, "--account", "nobody"]])
def test_a_missing_name_is_an_error_of_one_line(contracted, arguments):
    contracted.run("prices", *arguments)
    assert (contracted.code, contracted.errors.count("\n")) == (2, 1)
    assert contracted.errors.startswith("error[not_found]: ")


def test_a_name_that_matches_several_models_is_an_error_with_the_candidates(contracted):
    for number, name in enumerate(("acme/Model", "acme/MODEL")):
        path = contracted.folder / f"{number}.csv"
        row = f"together,{name},input_tokens,1,million,2026-01-01"
        path.write_text(f"provider,model,quantity,usd,per,effective_from\n{row}\n")
        contracted.done("prices", "import", path, "--source", "own")
    assert explained(contracted, "acme/model", "--provider", "together")["reason"] == "ambiguous"
    contracted.run("prices", "history", "acme/model")
    assert contracted.errors.startswith("error[not_found]: 'acme/model' matches several models of own at together; ")
    assert "acme/MODEL, acme/Model" in contracted.errors
    assert len(contracted.json("prices", "history", "acme/MODEL")["items"]) == 1
