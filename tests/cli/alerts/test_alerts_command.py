"""``metering alerts``: what has been alerted on."""

import pytest

from support.request_records import request


@pytest.fixture
def alerted(command_line):
    """Budgets of acme and globex that are used up, the one of acme raised afterwards."""
    for account in ("acme", "globex"):
        command_line.done(
            "ingest", command_line.write_log([request(1, account=account)], f"{account}.ndjson"), "--account", account
        )
        command_line.done(
            "budgets", "create", account, "0.001", "--window", "fixed", "--from", "2026-11-01", "--to", "2026-12-31"
        )
    command_line.now += 1
    command_line.done("budgets", "change", "1", "--amount", "0.002")
    return command_line


def test_alerts_are_listed_newest_first(alerted):
    items = alerted.json("alerts", "list")["items"]
    assert [(each["account"], each["threshold"], each["occurrence"]) for each in items] == [
        ("acme", 50, 2),
        *(("globex", percent, 1) for percent in (100, 80, 50)),
        *(("acme", percent, 1) for percent in (100, 80, 50)),
    ]
    assert [each["id"] for each in alerted.json("alerts", "list", "--limit", "2")["items"]] == [7, 6]
    assert len(alerted.json("alerts", "list", "--account", "globex", "--type", "budget.threshold_reached")["items"]) == 3
    assert alerted.json("alerts", "list", "--type", "budget.blocked")["items"] == []
    assert alerted.done("alerts", "list", "--type", "budget.blocked") == "no alerts\n"


def test_the_table_has_one_line_per_alert(alerted):
    lines = alerted.done("alerts", "list").splitlines()
    assert lines[0].split() == ["id", "occurred", "at", "alert", "account", "about", "period", "threshold"]
    assert lines[2].split()[3:] == ["budget.threshold_reached", "acme", "budget:1", "2026-11-01/2026-12-31", "50"]
    assert len(lines) == 2 + 7


def test_an_alert_is_shown_with_its_details(alerted):
    lines = dict(line.split("  ", 1) for line in alerted.done("alerts", "show", "7").splitlines()[1:])
    shown = {label: text.strip() for label, text in lines.items()}
    assert (shown["type"], shown["subject"], shown["threshold"]) == ("budget.threshold_reached", "budget:1", "50")
    assert (shown["amount"], shown["spent"], shown["occurrence"]) == ("$0.0020", "$0.00104", "2 in this period")
    assert alerted.done("alerts", "show", "7").startswith("alert 7: Budget threshold reached, acme\n")
    assert "occurrence" not in alerted.done("alerts", "show", "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "99"], "error[not_found]: there is no alert 99; `metering alerts list` shows all"),
        (["list", "--account", "nobody"], "error[not_found]"),
        (["list", "--type", "budget.gone"], "error[usage]"),
        (["list", "--limit", "0"], "error[usage]"),
    ],
)
def test_what_does_not_exist_is_an_error_of_one_line(alerted, arguments, message):
    assert alerted.run("alerts", *arguments) == ""
    assert alerted.code == 2
    assert alerted.errors.startswith(message) and alerted.errors.count("\n") == 1
