"""``metering ingest --dry-run`` shows how records are understood and what they would cost, and writes nothing."""

import json

import pytest

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
SECRET = "s3cret-words"
APP = {
    "at": "2026-11-03T10:00:00Z",
    "req": {"model": LLAMA, "messages": [{"content": SECRET}]},
    "usage": {"in": 1_000, "out": 1_000},
}
MAP = "time=at,model=req.model,input_tokens=usage.in,output_tokens=usage.out"


def log(command_line, *records, name="app.jsonl"):
    path = command_line.folder / name
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in records))
    return path


def test_without_a_database_there_are_bundled_prices_and_nothing_is_created(command_line):
    path = log(command_line, APP)
    before = sorted(each.name for each in command_line.folder.iterdir())
    shown = command_line.json("ingest", path, "--map", MAP, "--provider", "together", "--route", "routed", "--dry-run")
    (record,) = shown["files"][0]["records"]
    # 2,000 tokens at together: $1.04 a million since 2026-10-19.
    assert record["event"]["amount_usd"] == "0.002080000"
    assert (record["line"], record["event"]["model"], record["event"]["route"]) == (1, LLAMA, "routed")
    assert record["event"]["quantities"] == {"input_tokens": 1_000, "output_tokens": 1_000}
    assert SECRET not in json.dumps(shown)
    assert sorted(each.name for each in command_line.folder.iterdir()) == before


def test_a_record_without_a_provider_shows_its_range(command_line):
    printed = command_line.done("ingest", log(command_line, APP), "--map", MAP, "--dry-run")
    assert "format json, source app.jsonl" in printed
    assert f"model     {LLAMA} at unknown, chat" in printed
    assert "used      1,000 input tokens, 1,000 output tokens" in printed
    assert "cost      not priced; between $" in printed
    assert SECRET not in printed
    assert "nothing was written" in command_line.errors


def test_the_chunks_of_a_stream_are_shown_as_its_one_record(command_line):
    chunk = {"id": "chatcmpl-9f2c5d1e7a8b4c60", "object": "chat.completion.chunk", "created": 1793700000, "model": LLAMA,
             "choices": [{"index": 0, "delta": {"content": SECRET}}]}  # fmt: skip
    last = {**chunk, "choices": [], "usage": {"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000}}
    path = log(command_line, chunk, chunk, last)
    shown = command_line.json("ingest", path, "--provider", "together", "--route", "routed", "--dry-run")
    (record,) = shown["files"][0]["records"]
    assert (record["line"], record["event"]["amount_usd"]) == (1, "0.002080000")
    assert SECRET not in json.dumps(shown)


def test_a_dry_run_on_a_database_uses_its_prices_and_accounts_and_leaves_it_as_it_is(command_line):
    command_line.done("accounts", "create", "acme", "--route", "routed")
    sheet = command_line.folder / "own.csv"
    sheet.write_text("provider,model,quantity,usd,per,effective_from\nacme-gpus,m,input_tokens,2,million,2026-01-01\n")
    command_line.done("prices", "import", sheet)
    path = log(command_line, {"id": "1", "time": "2026-11-03T10:00:00Z", "model": "m", "provider": "acme-gpus",
                              "account": "acme", "status": 200, "usage": {"input_tokens": 500}})  # fmt: skip
    shown = command_line.json("ingest", path, "--dry-run")
    event = shown["files"][0]["records"][0]["event"]
    assert (event["route"], event["amount_usd"]) == ("routed", "0.001000000")
    assert command_line.json("spend")["rows"] == []
    assert command_line.json("accounts", "list")["items"][0]["name"] == "acme"


def test_records_that_would_be_rejected_are_shown_with_the_reason(command_line):
    path = log(command_line, APP, json.dumps({"at": "never", "q": SECRET}), "not json at all " + SECRET)
    printed = command_line.run("ingest", path, "--map", MAP, "--dry-run")
    assert command_line.code == 1
    assert "rejected[missing_model]" in printed
    assert "rejected[not_json]" in printed
    assert SECRET not in printed + command_line.errors


def test_at_most_five_records_are_shown(command_line):
    path = log(command_line, *[APP | {"at": f"2026-11-03T10:00:0{number}Z"} for number in range(8)])
    shown = command_line.json("ingest", path, "--map", MAP, "--dry-run")
    assert [record["line"] for record in shown["files"][0]["records"]] == [1, 2, 3, 4, 5]


def test_a_csv_is_shown_by_column(command_line):
    path = command_line.folder / "trace.csv"
    path.write_text(f"TIMESTAMP,ContextTokens,Prompt\n2026-11-03 10:00:00,12,{SECRET}\n")
    printed = command_line.done(
        "ingest", path, "--map", "time=TIMESTAMP,input_tokens=ContextTokens", "--model", "m", "--time-zone", "UTC", "--dry-run"
    )
    assert "line 2  TIMESTAMP=2026-11-03 10:00:00, ContextTokens=12, Prompt=…" in printed


def test_a_mapped_log_is_ingested_and_its_rejected_records_can_be_replayed(command_line):
    path = log(command_line, APP, APP | {"at": "never"})
    command_line.run("ingest", path, "--map", MAP, "--account", "acme", "--provider", "together", "--route", "routed")
    assert command_line.code == 1
    assert command_line.json("spend", "--account", "acme")["total"]["amount_usd"] == "0.002080000"
    log(command_line, APP, APP | {"at": "2026-11-03T11:00:00Z"})
    command_line.now += 1
    command_line.done("quarantine", "replay")
    assert command_line.json("spend", "--account", "acme")["total"]["amount_usd"] == "0.004160000"


def test_a_log_that_cannot_be_read_is_an_error(command_line):
    command_line.run("ingest", command_line.folder / "none.jsonl", "--dry-run")
    assert command_line.code == 2
    assert "error[" in command_line.errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "json"], "--format json needs --map"),
        (["--format", "openai", "--map", "time=at"], "--map is for CSV and JSON of any shape"),
        (["--override-model"], "--override-model needs --model"),
        (["--override-provider"], "--override-provider needs --provider"),
    ],
)
def test_options_that_do_not_fit_are_refused(command_line, arguments, message):
    command_line.run("ingest", log(command_line, APP), *arguments)
    assert command_line.code == 2
    assert message in command_line.errors


def test_an_override_applies_to_records_that_name_a_provider(command_line):
    record = {"id": "1", "time": "2026-11-03T10:00:00Z", "model": "x", "provider": "y", "status": 200,
              "usage": {"input_tokens": 1_000}}  # fmt: skip
    command_line.done(
        "ingest", log(command_line, record), "--account", "acme", "--route", "routed", "--model", LLAMA, "--override-model",
        "--provider", "together", "--override-provider",
    )  # fmt: skip
    (row,) = command_line.json("spend", "--account", "acme")["rows"]
    assert (row["group"], row["amount_usd"]) == ({"provider": "together", "model": LLAMA}, "0.001040000")


def test_an_account_is_created_on_a_plan_from_the_first_of_the_month(command_line):
    command_line.done("accounts", "create", "acme", "--plan", "pro")
    assert command_line.json("accounts", "show", "acme")["plan_changes"] == [
        {"effective": f"{command_line.json('accounts', 'plan', 'acme')['current']['month']}-01", "plan": "pro", "seats": 1}
    ]
