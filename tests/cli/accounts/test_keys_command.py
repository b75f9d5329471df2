"""``metering keys``: a token is shown once, and no longer works once revoked."""

import pytest

from metering.operations.accounts.manage_keys import check_token
from metering.storage.engine.database import open_database


def check(command_line, token):
    engine = open_database(command_line.environment["METERING_DATABASE_URL"])
    try:
        return check_token(engine, token)
    finally:
        engine.dispose()


def test_a_token_is_printed_once_alone_on_stdout(command_line):
    token = command_line.done("keys", "create", "--name", "gateway").strip()
    assert check(command_line, token).name == "gateway"
    assert token not in command_line.done("keys", "list", "--json")


def test_a_key_may_ingest_and_read_by_default(command_line):
    assert command_line.json("keys", "create", "--name", "a")["scopes"] == ["ingest", "read"]
    assert command_line.json("keys", "create", "--name", "b", "--scope", "admin")["scopes"] == ["admin"]
    assert command_line.json("keys", "create", "--name", "c", "--scope", "read,ingest")["scopes"] == ["ingest", "read"]


def test_a_key_of_one_account_is_listed_under_its_name(command_line):
    command_line.done("accounts", "create", "acme")
    command_line.done("keys", "create", "--name", "gateway", "--account", "acme")
    (key,) = command_line.json("keys", "list")["items"]
    assert (key["name"], key["account"], key["revoked_at"]) == ("gateway", "acme", None)


def test_a_revoked_key_no_longer_works(command_line):
    made = command_line.json("keys", "create", "--name", "gateway")
    command_line.done("keys", "revoke", made["prefix"])
    assert check(command_line, made["token"]) is None
    assert command_line.json("keys", "list")["items"][0]["revoked_at"] == "2026-12-05T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create"], "usage"),
        (["create", "--name", "x", "--scope", "everything"], "invalid_request"),
        (["create", "--name", ""], "invalid_request"),
        (["create", "--name", "x" * 256], "invalid_request"),
        (["create", "--name", "x", "--account", "nobody"], "not_found"),
        (["revoke", "nosuchkey"], "not_found"),
        (["create", "--name", "x", "--account", "acme", "--creates-accounts"], "invalid_request"),
    ],
)
def test_an_invalid_command_prints_one_line(command_line, arguments, code):
    command_line.done("db", "upgrade")
    command_line.run("keys", *arguments)
    assert command_line.code == 2
    assert command_line.errors.startswith(f"error[{code}]: ")
    assert command_line.errors.count("\n") == 1
