"""``metering prices`` and ``metering rate``: known prices, missing prices, and charging usage once its price is imported."""

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
def unpriced(command_line):
    """Three requests of one input token to a model without a price, and one to a model with a price."""
    own = [request(number, model="acme/own-model", usage={"input_tokens": 1}) for number in range(3)]
    command_line.done("ingest", command_line.write_log([*own, request(9)]), "--account", "acme")
    return command_line


def sheet(command_line, text=SHEET):
    path = command_line.folder / "prices.yaml"
    path.write_text(text)
    return path


def test_the_prices_in_force_depend_on_the_instant(command_line):
    command_line.done("db", "upgrade")

    def input_price(*at):
        found = command_line.json("prices", "list", "--provider", "together", "--model", "llama-3.3-70b", *at)["items"]
        return [price["prices"]["input_tokens"]["price_usd"] for price in found]

    assert input_price("--at", "2026-10-18") == ["0.000000880000"]
    assert input_price() == ["0.000001040000"]


def test_a_models_prices_are_shown_with_their_provenance(command_line):
    command_line.done("db", "upgrade")
    text = command_line.done("prices", "show", LLAMA, "--provider", "together")
    assert "2026-10-19  input $1.04 / 1M, output $1.04 / 1M" in text
    shown = command_line.json("prices", "show", LLAMA, "--provider", "together")
    assert shown == command_line.json("prices", "history", LLAMA, "--provider", "together")
    assert all(tier["provenance"] for version in shown["items"] for tier in version["tiers"])


def test_a_price_recorded_later_is_left_out_with_known_at(command_line):
    command_line.done("db", "upgrade")
    command_line.now += 10
    listed = ("prices", "list", "--provider", "together", "--model", "llama-3.3-70b", "--at", "2026-11-03")
    assert len(command_line.json(*listed)["items"]) == 1
    before = command_line.json(*listed, "--known-at", "2026-12-05T11:59:59Z")
    assert (before["known_at"], before["items"]) == ("2026-12-05T11:59:59.000000Z", [])
    assert command_line.json(*listed, "--known-at", "2026-12-05T12:00:00Z")["items"] == command_line.json(*listed)["items"]


def test_prices_of_time_and_images_have_their_unit(command_line):
    command_line.done("db", "upgrade")
    text = command_line.done("prices", "list", "--model", "FLUX.1-dev", "--at", "2026-11-01")
    assert "compute time $0.00012 / s" in text
    assert "$0.0250 / megapixel" in text


def test_unpriced_usage_is_listed_with_what_is_missing(unpriced):
    assert unpriced.json("prices", "unpriced")["items"] == [
        {
            "provider": "together",
            "model": "acme/own-model",
            "route": "routed",
            "missing": "no rate",
            "remedy": "metering prices import SHEET",
            "possible_events": 0,
            "possible_least_nano_usd": None,
            "possible_least_usd": None,
            "possible_most_nano_usd": None,
            "possible_most_usd": None,
            "events": 3,
            "tokens": 3,
            "first_time": "2026-11-03T10:15:00.000000Z",
            "last_time": "2026-11-03T10:15:00.000000Z",
        }
    ]
    assert "acme/own-model" in unpriced.done("prices", "unpriced", "--account", "acme")


def test_an_imported_price_charges_usage_that_was_unpriced(unpriced):
    assert "3 unpriced requests were charged: $0.000000114" in unpriced.done("prices", "import", sheet(unpriced))
    assert unpriced.json("spend")["total"]["amount_nano_usd"] == 1_040_000 + 114
    again = unpriced.json("prices", "import", sheet(unpriced))
    assert (again["charged"], again["amount_nano_usd"]) == (0, 0)
    unpriced.done("verify")


def test_a_price_of_one_account_charges_usage_of_that_account_only(unpriced):
    theirs = [request(20, model="acme/own-model", usage={"input_tokens": 1}, account="globex")]
    unpriced.done("ingest", unpriced.write_log(theirs, "theirs.ndjson"), "--account", "globex")
    unpriced.done("prices", "import", sheet(unpriced), "--no-rate")
    imported = unpriced.json("prices", "import", sheet(unpriced), "--account", "acme")
    assert (imported["charged"], imported["amount_nano_usd"]) == (3, 114)
    assert [(each["missing"], each["events"]) for each in unpriced.json("prices", "unpriced")["items"]] == [
        ("not rated yet", 1)
    ]


def test_rating_charges_usage_once_after_its_price_is_imported(unpriced):
    assert "`metering rate`" in unpriced.done("prices", "import", sheet(unpriced), "--no-rate")
    # each request is 37,500 pico-USD, rounded up to 38 nano-USD
    charged = {
        "provider": "together",
        "model": "acme/own-model",
        "charged": 3,
        "amount_nano_usd": 114,
        "amount_usd": "0.000000114",
    }
    assert unpriced.json("rate") == {
        "charged": 3,
        "amount_nano_usd": 114,
        "amount_usd": "0.000000114",
        "still_unpriced": 0,
        "models": [charged],
    }
    assert unpriced.json("rate")["charged"] == 0
    assert unpriced.done("prices", "unpriced") == "all usage is priced\n"
    assert unpriced.json("spend")["total"]["amount_nano_usd"] == 1_040_000 + 114
    assert "Rounding of each request up to nano-dollars" in unpriced.done("statements", "show", "acme", "2026-11")
    unpriced.done("verify")


def test_a_sheet_imported_again_adds_nothing(unpriced):
    first = unpriced.json("prices", "import", sheet(unpriced))
    assert len(first["tables_added"]) == 1
    assert unpriced.json("prices", "import", sheet(unpriced))["tables_added"] == []


def test_prices_of_one_account_are_on_its_layer(unpriced):
    unpriced.done("prices", "import", sheet(unpriced), "--account", "acme")
    tables = unpriced.json("prices", "tables")["items"]
    assert [(each["source"], each["layer"], each["account"]) for each in tables if each["layer"] != "bundled"] == [
        ("our contract", "account", "acme")
    ]


def test_a_bad_sheet_changes_nothing_and_the_error_names_the_entry(unpriced):
    unpriced.run("prices", "import", sheet(unpriced, SHEET.replace("0.0375", "0.03750000001")))
    assert unpriced.code == 2
    assert unpriced.errors.startswith("error[invalid_price]: ")
    assert "acme/own-model" in unpriced.errors
    assert unpriced.json("rate")["charged"] == 0


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
def test_an_error_is_one_line(unpriced, arguments, code):
    unpriced.run("prices", *arguments)
    assert unpriced.code == 2
    assert unpriced.errors.startswith(f"error[{code}]: ")
    assert unpriced.errors.count("\n") == 1


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


def test_a_csv_sheet_charges_usage_that_was_unpriced(unpriced):
    path = unpriced.folder / "prices.csv"
    path.write_text(CSV_SHEET)
    imported = unpriced.json("prices", "import", path, "--source", "our contract")
    # 3 requests of 1 token at 37.5 nano-USD, each rounded up
    assert (imported["charged"], imported["amount_nano_usd"]) == (3, 3 * 38)
    (listed,) = unpriced.json("prices", "list", "--model", "acme/own-model")["items"]
    assert (listed["source"], listed["layer"]) == ("our contract", "operator")
    assert unpriced.json("prices", "import", path, "--source", "our contract")["tables_added"] == []


def test_litellms_map_is_imported_once_with_the_entries_that_are_left_out(command_line):
    path = command_line.folder / "map.json"
    path.write_text(json.dumps(MAP))
    import_map = ("prices", "import", path, "--format", "litellm", "--effective-from", "2026-01-01")
    imported = command_line.json(*import_map)
    assert len(imported["tables_added"]) == 1
    assert [(each["entry"], each["reason"]) for each in imported["left_out"]] == [("together_ai/acme/free", "zero_price")]
    (listed,) = command_line.json("prices", "list", "--model", "acme/listed")["items"]
    assert (listed["route"], listed["prices"]["input_tokens"]["price_usd"]) == ("provider_key", "0.000002000000")
    later = ("prices", "import", path, "--format", "litellm", "--effective-from", "2026-02-01")
    assert command_line.json(*later)["tables_added"] == []
    assert "1 entry was left out" in command_line.done(*later)


def test_a_list_without_usable_prices_is_reported_as_such(command_line):
    path = command_line.folder / "map.json"
    path.write_text(json.dumps({"together_ai/acme/free": MAP["together_ai/acme/free"]}))
    text = command_line.done("prices", "import", path, "--format", "litellm")
    assert "nothing in map.json can be used" in text
    assert "recorded already" not in text
    assert "1 entry was left out" in text


def test_one_added_table_is_reported_in_the_singular(unpriced):
    text = unpriced.done("prices", "import", sheet(unpriced))
    assert text.startswith("1 price table from prices.yaml was added\n")


def test_a_map_that_changes_or_withdraws_a_price_is_a_new_version(command_line):
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
    gone = command_line.json("prices", "list", "--model", "acme/other", "--at", "2026-02-01")["items"]
    assert gone == []


def test_the_lists_in_the_package_are_imported_once(command_line):
    import_package = ("prices", "import", "--format", "genai-prices", "--effective-from", "2026-01-01")
    imported = command_line.json(*import_package)
    assert imported["tables_added"]
    assert imported["left_out"]
    assert command_line.json(*import_package)["tables_added"] == []
    partners = command_line.json("prices", "list", "--source", "genai_prices", "--provider", "groq")["items"]
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
def test_contradictory_options_of_an_import_are_refused(command_line, arguments):
    command_line.run("prices", "import", *arguments)
    assert (command_line.code, command_line.errors.split(":")[0]) == (2, "error[usage]")
