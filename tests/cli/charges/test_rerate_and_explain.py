"""``metering rerate`` and ``metering explain``: effects of a corrected price, and the derivation of a charge."""

import pytest

from metering.domain.charges.rerating import RerateScope
from metering.operations.charges.rerate import start_rerate
from metering.storage.engine.database import open_database
from support.builders import instant
from support.request_records import request

SHEET = """\
source: our contract
route: any
currency: USD
provider: together
models:
  - model: acme/own-model
    versions:
      - from: {since}
        usd_per_million: {{input_tokens: {price}, output_tokens: 2}}
        source: the contract of 2026
"""
NOVEMBER = ("--account", "acme", "--from", "2026-11-01", "--to", "2026-12-01")


@pytest.fixture
def overpriced(command_line):
    """Two requests of one input token at $0.0375 per million: 38 nano-USD each; then the price since February is $3."""

    def import_sheet(since, price):
        path = command_line.folder / "prices.yaml"
        path.write_text(SHEET.format(since=since, price=price))
        command_line.done("prices", "import", path)

    import_sheet("2026-01-01", "0.0375")
    own = [request(number, model="acme/own-model", usage={"input_tokens": 1}) for number in range(2)]
    command_line.done("ingest", command_line.write_log(own), "--account", "acme", "--create-accounts")
    import_sheet("2026-02-01", "3")
    return command_line


def test_without_apply_changes_are_only_shown(overpriced):
    shown = overpriced.done("rerate", *NOVEMBER)
    (row,) = [line.split() for line in shown.splitlines() if line.startswith("acme")]
    assert row == ["acme", "together", "acme/own-model", "2026-11", "2", "0.000000076", "0.000006", "0.000005924"]
    assert "preview only; add --apply to write" in shown
    assert overpriced.json("spend")["total"]["amount_nano_usd"] == 76


def test_apply_writes_the_shown_changes_once(overpriced):
    previewed = overpriced.json("rerate", *NOVEMBER)
    applied = overpriced.json("rerate", *NOVEMBER, "--apply", "--reason", "late contract")
    assert (applied["run"]["id"], applied["run"]["reason"], applied["run"]["difference_nano_usd"]) == (
        1,
        "late contract",
        5_924,
    )
    assert applied["effects"] == previewed["effects"]
    assert overpriced.json("spend")["total"]["amount_nano_usd"] == 6_000
    assert overpriced.json("rerate", *NOVEMBER, "--apply", "--reason", "again")["total"]["events"] == 0
    assert "run 1 finished: 2 charges replaced" in overpriced.done("rerate", "--resume", "1")
    overpriced.done("verify")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--account", "acme"), "--start and --end are required"),
        ((*NOVEMBER, "--apply"), "--apply needs a --reason"),
        (("--resume", "1", "--apply"), "cannot be combined with other options"),
        (("--resume", "9"), "no re-rating run 9"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "must end after it starts"),
    ],
)
def test_invalid_options_are_refused_with_the_reason(overpriced, arguments, message):
    overpriced.run("rerate", *arguments)
    assert overpriced.code == 2
    assert message in overpriced.errors


def test_a_charge_is_explained_on_one_screen(overpriced):
    overpriced.done("rerate", *NOVEMBER, "--apply", "--reason", "late contract")
    event_id = request(0)["id"]
    text = overpriced.done("explain", event_id, "--account", "acme")
    assert len(text.splitlines()) < 24
    assert "version" in text and "our contract (your own)" in text and "read from the contract of 2026" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["input", "tokens", "1", "x", "$3.00", "/", "1M", "=", "0.000003"] in lines
    assert [line[:2] for line in lines if line[:1] and line[0] in ("charge", "reversal", "replacement")][-3:] == [
        ["charge", "0.000000038"], ["reversal", "-0.000000038"], ["replacement", "0.000003"],
    ]  # fmt: skip
    assert "late contract" in text
    answer = overpriced.json("explain", event_id, "--account", "acme")
    assert (answer["sum_pico_usd"], answer["rounding_pico_usd"], len(answer["history"])) == ("3000000", "0", 3)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"status": 503}, "The request failed and costs nothing."),
        ({"status": None, "usage": {"input_tokens": 0}}, "Unpriced: quantities unstated."),
    ],
)
def test_an_explanation_states_why_a_request_is_not_charged(command_line, fields, why):
    command_line.done("ingest", command_line.write_log([request(**fields)]), "--create-accounts")
    assert why in command_line.done("explain", request()["id"], "--account", "acme")


@pytest.mark.parametrize(
    ("record", "request_line", "why"),
    [
        (
            {"response": {"model": "m", "error": {"code": "overloaded"}}},
            "no status, error overloaded",
            "The request failed and costs nothing.",
        ),
        (
            {"cache_hit": True, "response": {"model": "m", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}},
            "no status",
            "A gateway answered from its own cache; nothing was bought from the provider.",
        ),
    ],
)
def test_an_explanation_shows_a_stated_error_and_an_answer_of_a_gateways_cache(command_line, record, request_line, why):
    log = command_line.write_log([{"id": "log-1", "time": "2026-11-03T10:15:00Z", "account": "acme", **record}])
    command_line.done("ingest", log, "--create-accounts")
    text = command_line.done("explain", "log-1", "--account", "acme")
    assert request_line in text
    assert f"$0.00. {why}" in text


def test_an_unknown_event_is_an_error(overpriced):
    overpriced.run("explain", "nobody", "--account", "acme")
    assert (overpriced.code, "the account has no event 'nobody'" in overpriced.errors) == (2, True)


@pytest.fixture
def interrupted(overpriced):
    """A run that was interrupted before its first charge."""
    engine = open_database(overpriced.environment["METERING_DATABASE_URL"])
    month = RerateScope(None, instant("2026-11-01T00:00:00Z"), instant("2026-12-01T00:00:00Z"), model="acme/own-model")
    start_rerate(engine, month, reason="late contract", now=overpriced.now)
    engine.dispose()
    return overpriced


def test_a_resumed_run_shows_its_totals_even_if_it_was_finished(interrupted):
    resumed = interrupted.done("rerate", "--resume", "1")
    assert "metering rerate --resume 1" in interrupted.errors
    again = interrupted.done("rerate", "--resume", "1")
    assert interrupted.errors == ""
    for shown, now in ((resumed, 2), (again, 0)):
        (row,) = [line for line in shown.splitlines() if "all accounts" in line]
        # 2 x 38 nano-USD become 2 x 3,000.
        assert row.split()[-6:] == ["2", "2", "0.000000076", "0.000006", "late", "contract"]
        assert f"run 1 finished: 2 charges replaced, {now} of them now (late contract)" in shown


def test_runs_are_listed_with_those_that_are_not_finished(interrupted):
    assert "run 1 is not finished: continue it with `metering rerate --resume 1`" in interrupted.done("rerate", "--list")
    (run,) = interrupted.json("rerate", "--list")["items"]
    assert (run["id"], run["finished_at"], run["account"], run["model"], run["start"]) == (
        1, None, None, "acme/own-model", "2026-11-01T00:00:00.000000Z",
    )  # fmt: skip
    interrupted.done("rerate", "--resume", "1")
    assert "not finished" not in interrupted.done("rerate", "--list")
    (run,) = interrupted.json("rerate", "--list")["items"]
    assert (run["events_changed"], run["difference_nano_usd"], run["finished_at"] is None) == (2, 5_924, False)


def test_without_runs_the_list_is_empty(overpriced):
    assert overpriced.done("rerate", "--list") == "no re-rating runs\n"
    assert overpriced.json("rerate", "--list") == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--resume", "1", "--include-reported"),
        ("--resume", "1", "--from", "1970-01-01"),
        ("--list", "--resume", "1"),
        ("--list", "--apply"),
    ],
)
def test_list_and_resume_refuse_other_options(interrupted, arguments):
    interrupted.run("rerate", *arguments)
    assert (interrupted.code, "cannot be combined with other options" in interrupted.errors) == (2, True)


def test_an_unknown_run_is_an_error(overpriced):
    overpriced.run("rerate", "--resume", "99")
    assert (overpriced.code, overpriced.errors) == (
        2,
        "error[not_found]: no re-rating run 99; `metering rerate --list` shows all runs\n",
    )


@pytest.mark.parametrize(
    ("arguments", "remark"),
    [
        (("--provider", "nope"), "no usage of provider 'nope' on record"),
        (("--model", "nope"), "no usage of model 'nope' on record"),
        (("--model", "Acme/Own-Model"), "no usage of model 'Acme/Own-Model' on record; did you mean 'acme/own-model'?"),
        (("--provider", "Together"), "no usage of provider 'Together' on record; did you mean 'together'?"),
    ],
)
def test_an_unknown_name_is_a_warning(overpriced, arguments, remark):
    assert "0 charges examined" in overpriced.done("rerate", *NOVEMBER, *arguments)
    assert overpriced.errors == f"{remark}\n"


def test_a_known_name_is_not_a_warning(overpriced):
    overpriced.done("rerate", *NOVEMBER, "--provider", "together", "--model", "acme/own-model")
    assert overpriced.errors == ""
