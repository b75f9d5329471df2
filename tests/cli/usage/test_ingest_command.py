"""``metering ingest``: what it prints, what it stores, and how it exits."""

import gzip
import json
from importlib import import_module

import pytest

from support.request_records import LLAMA, request

OUTCOMES = ("accepted", "duplicate", "copy", "conflict", "rejected", "unpriced", "unassigned", "route_unknown")


def counts(report):
    return {name: report["total"][name] for name in OUTCOMES if report["total"][name]}


def ingest(command_line, *arguments, code=0):
    output = command_line.run("ingest", *arguments, "--json")
    assert command_line.code == code, command_line.errors
    return json.loads(output)


def test_ingest_creates_the_database_and_the_account(command_line):
    log = command_line.write_log([request(account=None)])
    report = ingest(command_line, log, "--account", "acme")
    assert counts(report) == {"accepted": 1}
    assert report["remarks"] == ["created account acme"]
    assert command_line.json("spend", "--account", "acme")["total"]["amount_usd"] == "0.001040000"


def test_an_existing_account_is_not_created_again(command_line):
    log = command_line.write_log([request()])
    command_line.done("accounts", "create", "acme")
    assert ingest(command_line, log, "--account", "acme")["remarks"] == []


def test_a_log_read_again_counts_nothing_twice(command_line):
    log = command_line.write_log([request(1), request(2)])
    ingest(command_line, log, "--create-accounts")
    assert counts(ingest(command_line, log, "--create-accounts")) == {"duplicate": 2}
    assert command_line.json("spend")["total"]["events"] == 2


def test_every_outcome_is_counted_and_rejections_and_conflicts_are_listed_by_line(command_line):
    command_line.done("accounts", "create", "acme")
    log = command_line.write_log(
        [
            request(1),
            request(1),
            request(1, usage={"input_tokens": 1}),
            request(2, time="2026-11-03T10:15:00"),
            request(3, model="nobody/has-a-price"),
            request(4, account="stranger"),
            request(5, route=None),
        ]
    )
    report = ingest(command_line, log, code=1)
    assert counts(report) == {
        "accepted": 4, "duplicate": 1, "conflict": 1, "rejected": 1, "unpriced": 2, "unassigned": 1, "route_unknown": 1,
    }  # fmt: skip
    assert [(item["line"], item["outcome"], item["code"], item["id"]) for item in report["files"][0]["items"]] == [
        (4, "rejected", "naive_time", "request-2"),
        (3, "conflict", "conflict", "request-1"),
    ]


def test_the_report_shows_position_reason_and_next_step(command_line):
    log = command_line.write_log([request(1, colour="blue"), request(2, time="yesterday"), request(3, model="unheard/of")])
    output = command_line.run("ingest", log, "--account", "acme")
    assert command_line.code == 1
    assert f"{log}:2: rejected[invalid_time]" in output
    assert "`metering quarantine list`" in output
    assert "`metering prices unpriced`" in output
    assert "colour (1)" in output
    assert "source requests.ndjson" in output


def test_duplicates_do_not_crowd_rejections_out_of_the_report(command_line):
    good = [request(number) for number in range(20)]
    ingest(command_line, command_line.write_log(good), "--account", "acme")
    log = command_line.write_log([*good, request(99, time="never")])
    items = ingest(command_line, log, "--account", "acme", code=1)["files"][0]["items"]
    assert [(item["line"], item["outcome"]) for item in items] == [(21, "rejected")]


def test_options_apply_to_records_that_do_not_state_a_value(command_line):
    silent = request(provider=None, route=None, account=None, model=None)
    log = command_line.write_log([silent])
    ingest(
        command_line, log, "--account", "acme", "--provider", "together", "--model", LLAMA, "--route", "routed",
        "--project", "search", "--key", "k1", "--operation", "chat",
    )  # fmt: skip
    by = "account,provider,model,operation,route,project,key"
    assert command_line.json("spend", "--by", by)["rows"][0]["group"] == {
        "account": "acme", "provider": "together", "model": LLAMA, "operation": "chat", "route": "routed",
        "project": "search", "key": "k1",
    }  # fmt: skip


def test_a_records_own_value_wins_over_the_option(command_line):
    log = command_line.write_log([request(account="own")])
    ingest(command_line, log, "--account", "acme", "--create-accounts", "--provider", "novita")
    row = command_line.json("spend", "--by", "account,provider")["rows"][0]
    assert row["group"] == {"account": "own", "provider": "together"}


def test_a_field_can_be_kept_as_a_tag(command_line):
    command_line.environment["METERING_DECLARED_TAGS"] = "team"
    log = command_line.write_log([request(1, team="core"), request(2, team="search")])
    report = ingest(command_line, log, "--account", "acme", "--tag", "team")
    assert report["files"][0]["unread_fields"] == {}
    rows = command_line.json("spend", "--by", "tag:team")["rows"]
    assert [row["group"] for row in rows] == [{"tag:team": "core"}, {"tag:team": "search"}]


def test_a_plan_starts_in_the_month_of_the_earliest_usage_and_is_kept(command_line):
    log = command_line.write_log([request(1, time="2026-10-20T00:00:00Z"), request(2)])
    report = ingest(command_line, log, "--account", "acme", "--plan", "pro")
    assert "acme is on pro from 2026-10-01" in report["remarks"]
    again = ingest(command_line, log, "--account", "acme", "--plan", "team")
    assert [remark for remark in again["remarks"] if "acme stays on pro, its plan since 2026-10-01" in remark]
    changes = command_line.json("accounts", "show", "acme")["plan_changes"]
    assert changes == [{"effective": "2026-10-01", "plan": "pro", "seats": 1}]


def test_a_former_name_resolves_to_the_account_that_had_it_then(command_line):
    command_line.done("accounts", "create", "acme")
    command_line.done("accounts", "rename", "acme", "acme-corp")
    log = command_line.write_log([request(account=None)])
    report = ingest(command_line, log, "--account", "acme")
    assert "acme is a former account name" in report["remarks"][0]
    assert command_line.json("spend", "--account", "acme-corp")["total"]["events"] == 1


def test_each_file_is_a_separate_source(command_line):
    first = command_line.write_log([request(1)], "a.ndjson")
    second = command_line.write_log([request(1, time="2026-11-04T00:00:00Z")], "b.ndjson")
    report = ingest(command_line, first, second, "--account", "acme")
    assert [(file["source"], file["accepted"]) for file in report["files"]] == [("a.ndjson", 1), ("b.ndjson", 1)]


def test_a_pattern_that_the_shell_did_not_expand_is_expanded(command_line):
    for name in ("log-1.ndjson", "log-2.ndjson", "other.txt"):
        command_line.write_log([request(name)], name)
    report = ingest(command_line, str(command_line.folder / "log-*.ndjson"), "--account", "acme")
    assert [file["source"] for file in report["files"]] == ["log-1.ndjson", "log-2.ndjson"]


def test_a_compressed_log_has_the_same_source(command_line):
    log = command_line.write_log([request()])
    ingest(command_line, log, "--account", "acme")
    packed = command_line.folder / "archive" / "requests.ndjson.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(log.read_bytes()))
    assert counts(ingest(command_line, packed, "--account", "acme")) == {"duplicate": 1}


def test_two_files_with_one_name_need_sources(command_line):
    paths = []
    for folder in ("host-1", "host-2"):
        (command_line.folder / folder).mkdir()
        paths.append(command_line.write_log([request()], f"{folder}/app.ndjson"))
    command_line.run("ingest", *paths, "--account", "acme")
    assert command_line.code == 2
    assert command_line.errors.startswith("error[ambiguous_source]")
    assert counts(ingest(command_line, *paths, "--account", "acme", "--source", "app")) == {"accepted": 1, "duplicate": 1}


def test_an_unreadable_file_does_not_stop_the_others(command_line):
    log = command_line.write_log([request()])
    report = ingest(command_line, command_line.folder / "missing.ndjson", log, "--account", "acme", code=1)
    assert counts(report) == {"accepted": 1}
    assert "No such file" in report["files"][0]["error"]["message"]
    assert command_line.errors.count("error[") == 1


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [
        (None, (), "unreadable_file"),
        (b"", (), "empty_file"),
        (b"\n \n", (), "empty_file"),
        (gzip.compress(json.dumps(request()).encode())[:-9], (), "damaged_file"),
        (b"when,model\n2026-11-03T12:00:00Z,m\n", ("--map", "time=TIMESTAMP"), "missing_column"),
        (b"when,model\n2026-11-03T12:00:00Z,m\n", ("--map", "model=model"), "missing_column"),
        (b"nothing that anybody knows\n", (), "unknown_format"),
        (b'[{"time": "2026-11-03T12:00:00Z", "model": "m"}', (), "not_json"),
        (b'{\n"time": "2026-11-03T12:00:00Z",\n"model": "m"', (), "not_json"),
    ],
)
def test_each_problem_with_a_file_has_its_own_code(command_line, content, options, code):
    path = command_line.folder / "requests.log"
    if content is not None:
        path.write_bytes(content)
    command_line.run("ingest", path, "--account", "acme", *options)
    assert command_line.errors.startswith(f"error[{code}]: {path}: ")
    report = json.loads(command_line.run("ingest", path, "--account", "acme", *options, "--json"))
    assert report["files"][0]["error"]["code"] == code


def test_a_directory_is_refused(command_line):
    command_line.run("ingest", command_line.folder, "--account", "acme")
    assert command_line.errors == f"error[unreadable_file]: {command_line.folder}: Is a directory\n"


def test_if_no_file_can_be_read_it_is_bad_usage_and_no_account_is_created(command_line):
    command_line.run("ingest", command_line.folder / "missing.ndjson", "--account", "acme")
    assert command_line.code == 2
    assert [row["name"] for row in command_line.json("accounts", "list")["items"]] == ["unassigned"]


def test_the_readable_part_of_a_truncated_gzip_file_is_stored(command_line):
    packed = gzip.compress("".join(json.dumps(request(number)) + "\n" for number in range(3_000)).encode())
    path = command_line.folder / "cut.ndjson.gz"
    path.write_bytes(packed[: len(packed) // 2])
    report = ingest(command_line, path, "--account", "acme", code=1)
    assert 0 < report["total"]["accepted"] < 3_000
    assert "cut off" in report["files"][0]["error"]["message"]


def test_quiet_prints_only_what_went_wrong(command_line):
    log = command_line.write_log([request(1)])
    assert command_line.done("ingest", log, "--account", "acme", "--quiet") == ""
    log = command_line.write_log([request(2, time="never")])
    output = command_line.run("ingest", log, "--account", "acme", "--quiet")
    assert (command_line.code, output.count("\n")) == (1, 1)


def test_control_sequences_in_names_are_not_printed(command_line):
    log = command_line.write_log([request(1, **{"\x1b[31mred": 1}), request(2, time="\x1b]0;title\x07")])
    assert "\x1b" not in command_line.run("ingest", log, "--account", "acme")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "x" * 256], "source must have at most 255 characters"),
        (["--map", "time"], "FIELD=COLUMN"),
        (["--map", "tokens=A"], "'tokens' is not an event field"),
        (["--map", "time=A,time=B"], "two columns for time"),
        (["--map", "time=A", "--format", "native"], "--map is for CSV"),
        (["--plan", "pro"], "--plan needs --account"),
        (["--plan", "platinum", "--account", "acme"], "platinum"),
        (["--route", "elsewhere"], "elsewhere"),
        (["--time-zone", "Mars/Olympus"], "is not a time zone"),
        (["--replay-from", "2026-11-03T00:00:00"], "has no time zone"),
        (["--replay-from", "soon"], "is not a time"),
        (["--format", "xml"], "xml"),
    ],
)
def test_an_invalid_option_is_refused_before_a_database_is_created(first_command_line, arguments, message):
    log = first_command_line.write_log([request()])
    first_command_line.run("ingest", log, *arguments)
    assert first_command_line.code == 2
    assert first_command_line.errors.startswith("error[usage]: ")
    assert message in first_command_line.errors
    assert first_command_line.errors.count("\n") == 1
    assert not (first_command_line.folder / "metering.db").exists()


def test_an_interruption_keeps_stored_records_and_prints_one_line(command_line, monkeypatch):
    first = command_line.write_log([request(1)], "a.ndjson")
    second = command_line.write_log([request(2)], "b.ndjson")
    module = import_module("metering.cli.usage.ingest")
    real = module.ingest_log

    def interrupted_at_the_second(engine, ingester, log, **rest):
        if log.path.endswith("b.ndjson"):
            raise KeyboardInterrupt
        return real(engine, ingester, log, **rest)

    monkeypatch.setattr(module, "ingest_log", interrupted_at_the_second)
    command_line.run("ingest", first, second, "--account", "acme")
    assert command_line.code == 130
    assert command_line.errors.startswith("interrupted in ")
    assert "after 1 record;" in command_line.errors
    assert command_line.errors.count("\n") == 1
    assert command_line.json("spend")["total"]["events"] == 1
