"""The mistakes of a newcomer: a message says what is wrong, suggests the nearest name, and says what to do next."""

import json

import pytest

from support.request_records import request

NOVEMBER = ("--account", "acme", "--month", "2026-11")


@pytest.fixture
def shell(command_line):
    """An account with a priced and an unpriced request in November, and a priced one in October."""
    records = [request(1), request(2, model="acme/own-model"), request(3, time="2026-10-03T10:15:00Z")]
    command_line.done("ingest", command_line.write_log(records), "--account", "acme")
    return command_line


def error_of(shell, *arguments):
    """Return the error of a command that must fail."""
    shell.run(*arguments)
    assert shell.code == 2
    assert shell.errors.count("\n") == 1
    return shell.errors.removesuffix("\n")


@pytest.mark.parametrize(
    "command", ["spend --account acmee", "statements show Acme", "budgets create acne 5", "explain r1 --account acmee"]
)
def test_an_unknown_account_suggests_the_nearest(shell, command):
    assert "; did you mean 'acme'? `metering accounts list` shows all" in error_of(shell, *command.split())


def test_an_account_unlike_all_others_suggests_none(shell):
    assert error_of(shell, "spend", "--account", "globex") == (
        "error[not_found]: there is no account 'globex'; `metering accounts list` shows all"
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("ingst log", "No such command 'ingst'. Did you mean 'ingest'?"),
        ("prices sinc", "No such command 'sinc'. Did you mean 'sync'?"),
        ("xyz", "No such command 'xyz'."),
    ],
)
def test_an_unknown_command_suggests_the_nearest(command_line, command, message):
    assert error_of(command_line, *command.split()).partition(" (see: ")[0] == f"error[usage]: {message}"


@pytest.mark.parametrize(
    ("command", "warning"),
    [
        ("spend --filter provider=togetherr", "no usage of provider 'togetherr' on record; did you mean 'together'?"),
        ("spend --filter model=acme/own-modle", "no usage of model 'acme/own-modle' on record; did you mean 'acme/own-model'?"),
        ("prices list --provider togther", "no price list has the provider 'togther'; did you mean 'together'?"),
        ("prices list --source hf-router", "no price list is called 'hf-router'; did you mean 'hf_router'?"),
    ],
)
def test_a_filter_by_an_unknown_name_is_warned_of(shell, command, warning):
    shell.done(*command.split())
    assert shell.errors == f"{warning}\n"


def test_an_unknown_model_suggests_the_nearest_and_how_to_search(shell):
    assert error_of(shell, "prices", "history", "meta-llama/Llama-3.3-70B-Instruc") == (
        "error[not_found]: no price list has the model 'meta-llama/Llama-3.3-70B-Instruc'; did you mean"
        " 'meta-llama/Llama-3.3-70B-Instruct'? `metering prices list --model TEXT` finds models"
    )


def test_an_unknown_scope_lists_the_scopes(shell):
    assert error_of(shell, "keys", "create", "--name", "k", "--scope", "raed") == (
        "error[invalid_request]: 'raed' is not a scope; use ingest, read, metrics, billing, admin"
    )


def test_a_taken_account_name_asks_for_another(shell):
    assert error_of(shell, "accounts", "create", "acme") == (
        "error[already_exists]: 'acme' is or was the name of an account; choose another name"
    )


def test_a_month_that_cannot_be_closed_yet_names_the_option_that_helps(shell):
    assert error_of(shell, "statements", "close", "acme", "2026-11") == (
        "error[earlier_months_open]: 2026-10 of 'acme' is still open: close it first, or close every month up to 2026-11 with"
        " --with-earlier (HTTP: with_earlier)"
    )
    assert error_of(shell, "statements", "close", "acme", "2026-11", "--with-earlier") == (
        "error[unpriced_usage]: 1 request of 'acme' in 2026-11 is not priced yet: add the missing prices (see `metering prices"
        " unpriced`), or close with --allow-unpriced (HTTP: allow_unpriced); the statement is then flagged unpriced_usage"
    )


def test_a_future_month_is_shown_as_not_begun(shell):
    assert "The month has not begun" in shell.done("statements", "show", "acme", "2027-01")
    assert "has not begun" not in shell.done("statements", "show", "acme", "2026-12")


def test_a_bill_without_its_total_names_the_missing_field(shell):
    bill = shell.folder / "usage.json"
    bill.write_text(json.dumps({"usage": {"inferenceProviders": {"numRequests": 1}}}))
    assert error_of(shell, "reconcile", "import", bill, *NOVEMBER) == (
        "error[invalid_invoice]: usedNanoUsd is missing; it must be a whole number of nano-USD"
    )


def test_a_csv_bill_without_a_known_column_lists_its_columns_and_the_fields(shell):
    bill = shell.folder / "bill.csv"
    bill.write_text("Tag,Betrag\n2026-11-01,5\n")
    message = error_of(shell, "reconcile", "import", bill, *NOVEMBER)
    assert message.startswith(
        "error[missing_column]: no column has the name of a field (columns: Tag, Betrag); map them as FIELD=COLUMN, such as"
        " amount=COLUMN; the fields are request_id, "
    )


def test_a_sheet_without_a_key_lists_the_required_ones(shell):
    sheet = shell.folder / "prices.yaml"
    sheet.write_text("source: own\ncurrency: USD\nmodels: []\n")
    assert error_of(shell, "prices", "import", sheet) == (
        "error[invalid_price]: prices.yaml: missing route; the keys currency, models, route, source are required"
    )


@pytest.mark.parametrize(
    "command",
    ["keys create --name k --account acme --create-accounts", "keys create --name k --account acme --creates-accounts"],
)
def test_keys_accept_either_name_of_the_option(shell, command):
    assert "cannot create others" in error_of(shell, *command.split())


def test_an_unreachable_database_is_an_error_of_one_line_that_says_what_to_do(shell):
    pytest.importorskip("psycopg")
    shell.environment["METERING_DATABASE_URL"] = "postgresql://127.0.0.1:9/metering"
    message = error_of(shell, "spend")
    assert message.startswith("error[database_error]: postgresql://127.0.0.1:9/metering: ")
    assert message.endswith("; start the server, or correct METERING_DATABASE_URL")
    assert "\ufffd" not in message
