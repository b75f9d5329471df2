"""``metering prices`` and ``metering rate``: what is known, what is missing, and charging it when it becomes known."""

import json

import pytest

from support.request_records import LLAMA, request

SHEET = """\
source: our contract
route: any
currency: USD
provider: together
models:
  - model: acme/own-model
    versions:
      - from: 2026-01-01
        usd_per_million: {input_tokens: 0.0375, output_tokens: 2}
        source: the contract of 2026
"""


@pytest.fixture
def waiting(command_line):
    """Three requests of one input token to a model that has no price, and one of a known model."""
    own = [request(number, model="acme/own-model", usage={"input_tokens": 1}) for number in range(3)]
    command_line.done("ingest", command_line.write_log([*own, request(9)]), "--account", "acme")
    return command_line


def sheet(command_line, text=SHEET):
    path = command_line.folder / "prices.yaml"
    path.write_text(text)
    return path


def test_the_prices_in_force_change_with_the_instant(command_line):
    command_line.done("db", "upgrade")

    def input_price(*at):
        found = command_line.json("prices", "list", "--provider", "together", "--model", "llama-3.3-70b", *at)["prices"]
        return [price["prices"]["input_tokens"]["price_usd"] for price in found]

    assert input_price("--at", "2026-10-18") == ["0.000000880000"]
    assert input_price() == ["0.000001040000"]


def test_a_model_s_prices_are_shown_with_where_they_were_read(command_line):
    command_line.done("db", "upgrade")
    text = command_line.done("prices", "show", LLAMA, "--provider", "together")
    assert "2026-10-19  input $1.04 / 1M, output $1.04 / 1M" in text
    shown = command_line.json("prices", "show", LLAMA, "--provider", "together")["prices"]
    assert all(price["provenance"] for price in shown)


def test_a_price_that_was_recorded_later_was_not_known_before(command_line):
    command_line.done("db", "upgrade")
    command_line.now += 10
    listed = ("prices", "list", "--provider", "together", "--model", "llama-3.3-70b", "--at", "2026-11-03")
    assert len(command_line.json(*listed)["prices"]) == 1
    before = command_line.json(*listed, "--known-at", "2026-12-05T11:59:59Z")
    assert (before["known_at"], before["prices"]) == ("2026-12-05T11:59:59.000000Z", [])
    assert command_line.json(*listed, "--known-at", "2026-12-05T12:00:00Z")["prices"] == command_line.json(*listed)["prices"]


def test_prices_of_time_and_images_say_their_unit(command_line):
    command_line.done("db", "upgrade")
    text = command_line.done("prices", "list", "--model", "FLUX.1-dev", "--at", "2026-11-01")
    assert "compute time $0.00012 / s" in text
    assert "$0.0250 / megapixel" in text


def test_usage_without_a_price_is_listed_with_what_is_missing(waiting):
    assert waiting.json("prices", "unpriced")["unpriced"] == [
        {
            "provider": "together",
            "model": "acme/own-model",
            "route": "routed",
            "missing": "no rate",
            "events": 3,
            "tokens": 3,
            "first_time": "2026-11-03T10:15:00.000000Z",
            "last_time": "2026-11-03T10:15:00.000000Z",
        }
    ]
    assert "acme/own-model" in waiting.done("prices", "unpriced", "--account", "acme")


def test_an_imported_price_charges_what_waited_for_it(waiting):
    assert "3 requests that waited for a price were charged: $0.000000114" in waiting.done("prices", "import", sheet(waiting))
    assert waiting.json("spend")["total"]["amount_nano_usd"] == 1_040_000 + 114
    again = waiting.json("prices", "import", sheet(waiting))
    assert (again["charged"], again["amount_nano_usd"]) == (0, 0)
    waiting.done("verify")


def test_a_price_of_one_account_charges_the_usage_of_that_account_alone(waiting):
    theirs = [request(20, model="acme/own-model", usage={"input_tokens": 1}, account="globex")]
    waiting.done("ingest", waiting.write_log(theirs, "theirs.ndjson"), "--account", "globex")
    waiting.done("prices", "import", sheet(waiting), "--no-rate")
    imported = waiting.json("prices", "import", sheet(waiting), "--account", "acme")
    assert (imported["charged"], imported["amount_nano_usd"]) == (3, 114)
    assert [(each["missing"], each["events"]) for each in waiting.json("prices", "unpriced")["unpriced"]] == [
        ("not rated yet", 1)
    ]


def test_a_price_that_becomes_known_charges_what_waited_for_it_once(waiting):
    assert "`metering rate`" in waiting.done("prices", "import", sheet(waiting), "--no-rate")
    # each request is 37,500 pico-USD, rounded up to 38 nano-USD
    charged = {
        "provider": "together",
        "model": "acme/own-model",
        "charged": 3,
        "amount_nano_usd": 114,
        "amount_usd": "0.000000114",
    }
    assert waiting.json("rate") == {
        "charged": 3,
        "amount_nano_usd": 114,
        "amount_usd": "0.000000114",
        "still_unpriced": 0,
        "models": [charged],
    }
    assert waiting.json("rate")["charged"] == 0
    assert waiting.done("prices", "unpriced") == "everything has a price\n"
    assert waiting.json("spend")["total"]["amount_nano_usd"] == 1_040_000 + 114
    assert "each request rounded up to nano-dollars" in waiting.done("statements", "show", "acme", "2026-11")
    waiting.done("verify")


def test_a_sheet_imported_again_is_known_already(waiting):
    first = waiting.json("prices", "import", sheet(waiting))
    assert len(first["tables_added"]) == 1
    assert waiting.json("prices", "import", sheet(waiting))["tables_added"] == []


def test_prices_of_one_account_are_named_as_its_own(waiting):
    waiting.done("prices", "import", sheet(waiting), "--account", "acme")
    tables = waiting.json("prices", "tables")["tables"]
    assert [(each["source"], each["layer"], each["account"]) for each in tables if each["layer"] != "bundled"] == [
        ("our contract", "account", "acme")
    ]


def test_a_bad_sheet_changes_nothing_and_names_the_entry(waiting):
    waiting.run("prices", "import", sheet(waiting, SHEET.replace("0.0375", "0.03750000001")))
    assert waiting.code == 2
    assert waiting.errors.startswith("error[invalid_price]: ")
    assert "acme/own-model" in waiting.errors
    assert waiting.json("rate")["charged"] == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "no/such-model"], "not_found"),
        (["import", "missing.yaml"], "unreadable_file"),
        (["import", "missing.yaml", "--account", "nobody"], "unreadable_file"),
        (["unpriced", "--account", "nobody"], "not_found"),
        (["list", "--at", "noon"], "usage"),
    ],
)
def test_what_can_not_be_done_is_told_in_one_line(waiting, arguments, code):
    waiting.run("prices", *arguments)
    assert waiting.code == 2
    assert waiting.errors.startswith(f"error[{code}]: ")
    assert waiting.errors.count("\n") == 1


CSV_SHEET = """\
provider,model,quantity,usd,per,effective_from
together,acme/own-model,input_tokens,0.0375,million,2026-01-01
together,acme/own-model,output_tokens,2,million,2026-01-01
"""
MAP = {
    "together_ai/acme/listed": {
        "litellm_provider": "together_ai",
        "mode": "chat",
        "input_cost_per_token": 2e-06,
        "output_cost_per_token": 4e-06,
    },
    "together_ai/acme/free": {
        "litellm_provider": "together_ai", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0,
    },
}  # fmt: skip


def test_a_sheet_can_be_csv_and_charges_what_waited_for_it(waiting):
    path = waiting.folder / "prices.csv"
    path.write_text(CSV_SHEET)
    imported = waiting.json("prices", "import", path, "--source", "our contract")
    # 3 requests of 1 token at 37.5 nano-USD, each rounded up
    assert (imported["charged"], imported["amount_nano_usd"]) == (3, 3 * 38)
    (listed,) = waiting.json("prices", "list", "--model", "acme/own-model")["prices"]
    assert (listed["source"], listed["layer"]) == ("our contract", "operator")
    assert waiting.json("prices", "import", path, "--source", "our contract")["tables_added"] == []


def test_litellm_s_map_is_imported_with_what_is_left_out_and_again_it_says_nothing_new(command_line):
    path = command_line.folder / "map.json"
    path.write_text(json.dumps(MAP))
    import_map = ("prices", "import", path, "--format", "litellm", "--effective-from", "2026-01-01")
    imported = command_line.json(*import_map)
    assert len(imported["tables_added"]) == 1
    assert [(each["entry"], each["reason"]) for each in imported["left_out"]] == [("together_ai/acme/free", "zero_price")]
    (listed,) = command_line.json("prices", "list", "--model", "acme/listed")["prices"]
    assert (listed["route"], listed["prices"]["input_tokens"]["price_usd"]) == ("provider_key", "0.000002000000")
    later = ("prices", "import", path, "--format", "litellm", "--effective-from", "2026-02-01")
    assert command_line.json(*later)["tables_added"] == []
    assert "1 entry was left out" in command_line.done(*later)


def test_a_list_of_which_nothing_is_taken_is_not_called_known(command_line):
    path = command_line.folder / "map.json"
    path.write_text(json.dumps({"together_ai/acme/free": MAP["together_ai/acme/free"]}))
    text = command_line.done("prices", "import", path, "--format", "litellm")
    assert "nothing in map.json could be taken" in text
    assert "known already" not in text
    assert "1 entry was left out" in text


def test_a_sheet_imported_with_one_table_says_one(waiting):
    text = waiting.done("prices", "import", sheet(waiting))
    assert text.startswith("1 price table from prices.yaml was new\n")


def test_what_a_newer_map_no_longer_lists_or_prices_otherwise_is_a_new_version(command_line):
    path = command_line.folder / "map.json"

    def imported(entries, day):
        path.write_text(json.dumps(entries))
        added = command_line.json("prices", "import", path, "--format", "litellm", "--effective-from", day)["tables_added"]
        return len(added)

    entry = MAP["together_ai/acme/listed"]
    two = {"together_ai/acme/listed": entry, "together_ai/acme/other": entry}
    assert imported(two, "2026-01-01") == 1
    assert imported({"together_ai/acme/listed": entry}, "2026-02-01") == 1
    assert imported({"together_ai/acme/listed": {**entry, "input_cost_per_token": 3e-06}}, "2026-03-01") == 1
    assert imported({"together_ai/acme/listed": {**entry, "input_cost_per_token": 3e-06}}, "2026-04-01") == 0
    gone = command_line.json("prices", "list", "--model", "acme/other", "--at", "2026-02-01")["prices"]
    assert gone == []


def test_the_package_s_lists_are_imported_once(command_line):
    import_package = ("prices", "import", "--format", "genai-prices", "--effective-from", "2026-01-01")
    imported = command_line.json(*import_package)
    assert imported["tables_added"]
    assert imported["left_out"]
    assert command_line.json(*import_package)["tables_added"] == []
    partners = command_line.json("prices", "list", "--source", "genai_prices", "--provider", "groq")["prices"]
    assert partners
    assert {price["route"] for price in partners} == {"provider_key"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--format", "genai-prices", "prices.yaml"],
        ["--format", "litellm", "map.json", "--account", "acme"],
        ["prices.yaml", "--effective-from", "2026-01-01"],
        ["prices.yaml", "--source", "our contract"],
    ],
)
def test_options_that_an_import_can_not_follow_are_refused(command_line, arguments):
    command_line.run("prices", "import", *arguments)
    assert (command_line.code, command_line.errors.split(":")[0]) == (2, "error[usage]")
