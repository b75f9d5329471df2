"""``metering prices explain`` and ``history``: why a request has its price, and what each list said when."""

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
    """Acme pays prices of its own at Together from December on."""
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


def test_every_step_from_the_stated_name_to_the_price_is_shown(contracted):
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


def test_the_explanation_fits_one_screen_and_says_it_in_words(contracted):
    text = contracted.done("prices", "explain", TURBO, "--provider", "together", "--account", "acme", "--route", "routed")
    assert len(text.splitlines()) < 24
    assert "our contract" in text and f"{LLAMA} (alias)" in text and "this one" in text
    assert "no: a list before it has a price" in text
    assert "input tokens: $0.50 / 1M" in text
    assert "priced at the tier from 0 (tiers from 0, 100,000)" in text
    assert "not published, charged at the input price" in text


def test_what_is_not_yet_valid_says_from_when_on_it_is(contracted):
    answer = explained(
        contracted, LLAMA, "--provider", "together", "--account", "acme", "--route", "routed", "--at", "2026-11-30"
    )
    assert standings(answer)[:2] == [
        ("account", "our contract", "exact", "not_yet"),
        ("bundled", "hf_router", "exact", "wins"),
    ]
    assert answer["sources"][0]["next_from"] == "2026-12-01T00:00:00.000000Z"
    assert answer["tiers"][0]["prices"]["input_tokens"]["price_usd"] == "0.000001040000"


def test_what_was_known_is_another_question_than_what_was_valid(contracted):
    asked = (LLAMA, "--provider", "together", "--account", "acme", "--route", "routed", "--at", "2026-12-03")
    assert explained(contracted, *asked)["sources"][0]["source"] == "our contract"
    before = explained(contracted, *asked, "--known-at", "2026-12-05T12:00:00Z")
    assert (before["sources"][0]["source"], before["reason"]) == ("hf_router", "priced")
    assert explained(contracted, *asked, "--known-at", "2026-12-05T11:59:59Z")["reason"] == "not_listed"


@pytest.mark.parametrize(
    ("arguments", "reason", "words"),
    [
        ([LLAMA], "other_provider", "No price at unknown; there is one at: fireworks-ai, groq"),
        ([f"{LLAMA}:cheapest"], "other_provider", "does not say who served the request"),
        ([f"{LLAMA}:groq", "--provider", "together"], "priced", "suffix: groq contradicts the provider, which is together"),
        ([LLAMA, "--provider", "together", "--route", "provider_key"], "other_route", "there is one on: routed"),
        ([LLAMA, "--provider", "together", "--account", "acme"], "priced", "nor the account's setting says how it is billed"),
        ([LLAMA, "--provider", "together", "--at", "2025-01-01"], "not_yet", "a price from 2025-11-24 15:39:34Z on"),
        (["meta-llama/Llama-3.2-3B-Instruct-Turbo", "--provider", "together"], "withdrawn", "it was withdrawn"),
        (["no/such-model", "--provider", "together"], "not_listed", "no list knows the model"),
        (["black-forest-labs/FLUX.1-dev", "--provider", "hf-inference"], "priced", "hf-inference is always serverless"),
    ],
)
def test_why_there_is_no_price_is_told(contracted, arguments, reason, words):
    assert explained(contracted, *arguments)["reason"] == reason
    assert words in contracted.done("prices", "explain", *arguments)


def test_the_account_s_setting_says_the_route(contracted):
    contracted.done("accounts", "set-route", "acme", "provider_key")
    answer = explained(contracted, LLAMA, "--provider", "together", "--account", "acme")
    assert (answer["route"], answer["route_from"]) == ("provider_key", "account")


def test_the_explained_rate_is_the_one_a_request_is_charged_at(contracted):
    record = {
        "id": "r", "time": "2026-12-03T00:00:00Z", "account": "acme", "provider": "together", "model": TURBO, "route": "routed",
        "status": 200, "usage": {"input_tokens": 2_000_000},
    }  # fmt: skip
    contracted.done("ingest", contracted.write_log([record]))
    # $1 for a million from 100,000 tokens on
    assert contracted.json("spend")["total"]["amount_nano_usd"] == 2_000_000_000


def test_the_history_says_from_when_until_when_each_price_held(contracted):
    versions = contracted.json("prices", "history", TURBO, "--provider", "together")["versions"]
    told = [(each["source"], each["effective_from"][:10], each["until"] and each["until"][:10]) for each in versions]
    assert told == [
        ("our contract", "2026-12-01", None),
        ("hf_router", "2025-11-24", "2026-10-19"),
        ("hf_router", "2026-10-19", None),
    ]
    assert [each["context_from"] for each in versions[0]["tiers"]] == [0, 100_000]
    assert versions[0]["account"] == "acme"
    text = contracted.done("prices", "history", LLAMA, "--provider", "together", "--source", "hf_router")
    assert "2025-11-24 15:39:34Z  2026-10-19        0.88         0.88" in text
    assert "our contract" not in text


def test_the_history_as_it_was_known_leaves_out_what_was_recorded_later(contracted):
    asked = ("prices", "history", LLAMA, "--provider", "together", "--known-at", "2026-12-05T12:00:00Z")
    assert {each["source"] for each in contracted.json(*asked)["versions"]} == {"hf_router"}


@pytest.mark.parametrize("arguments", [["history", "no/such-model"], ["explain", LLAMA, "--account", "nobody"]])
def test_what_does_not_exist_is_told_in_one_line(contracted, arguments):
    contracted.run("prices", *arguments)
    assert (contracted.code, contracted.errors.count("\n")) == (2, 1)
    assert contracted.errors.startswith("error[not_found]: ")


def test_the_history_of_a_name_that_fits_several_says_which_as_explaining_does(contracted):
    for number, name in enumerate(("acme/Model", "acme/MODEL")):
        path = contracted.folder / f"{number}.csv"
        row = f"together,{name},input_tokens,1,million,2026-01-01"
        path.write_text(f"provider,model,quantity,usd,per,effective_from\n{row}\n")
        contracted.done("prices", "import", path, "--source", "own")
    assert explained(contracted, "acme/model", "--provider", "together")["reason"] == "ambiguous"
    contracted.run("prices", "history", "acme/model")
    assert contracted.errors.startswith("error[not_found]: 'acme/model' fits several models of own at together; ")
    assert "acme/MODEL, acme/Model" in contracted.errors
    assert len(contracted.json("prices", "history", "acme/MODEL")["versions"]) == 1
