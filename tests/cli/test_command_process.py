"""The command line as a process: exit codes, pipes, standard input, imports."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.request_records import LLAMA, request

HEAVY = ("sqlalchemy", "alembic", "fastapi", "uvicorn", "rich", "yaml", "msgspec", "pydantic", "csv", "httpx", "apscheduler")
RECORD = json.dumps(request(account=None)).encode() + b"\n"


@pytest.fixture
def run(tmp_path):
    """Run ``python -m metering`` in an empty folder; returns the finished process."""

    def call(*arguments, code=0, **options):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("METERING_")}
        done = subprocess.run(
            [sys.executable, "-m", "metering", *map(str, arguments)],
            cwd=tmp_path,
            env=environment | options.pop("env", {}),
            capture_output="stdout" not in options,
            check=False,
            timeout=60,
            **options,
        )
        assert done.returncode == code, (done.stdout or b"", done.stderr)
        assert b"Traceback" not in (done.stderr or b"")
        return done

    return call


def test_the_help_imports_nothing_heavy():
    code = (
        "import sys; from metering.cli.root import cli; import metering.command\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        f"print('HEAVY', sorted({{name.partition('.')[0] for name in sys.modules}} & {set(HEAVY)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_only_serve_imports_a_server():
    code = (
        "import sys, metering.cli.usage.ingest, metering.cli.charges.spend\n"
        "print([n for n in ('uvicorn', 'fastapi') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_importing_main_imports_no_command_line_because_workers_import_it():
    code = "import sys, metering.__main__; print('click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"False\n", b"")


def test_the_version_is_printed(run):
    assert run("--version").stdout.startswith(b"metering, version 0.")


def test_standard_input_is_read_plain_or_gzipped_and_counts_once(run):
    first = json.loads(run("ingest", "-", "--account", "acme", "--json", input=RECORD).stdout)
    assert (first["files"][0]["source"], first["total"]["accepted"]) == ("stdin", 1)
    again = json.loads(run("ingest", "-", "--account", "acme", "--json", input=gzip.compress(RECORD)).stdout)
    assert again["total"]["duplicate"] == 1


def test_exit_codes(run, tmp_path):
    log = tmp_path / "log.ndjson"
    log.write_bytes(RECORD)
    run("ingest", log, "--account", "acme", code=0)
    log.write_bytes(RECORD + b'{"id":"bad","time":"never"}\n')
    run("ingest", log, "--account", "acme", code=1)
    assert run("ingest", log, "--route", "nowhere", code=2).stderr.startswith(b"error[usage]: ")
    assert (
        run("spend", "--account", "nobody", code=2).stderr
        == b"error[not_found]: there is no account 'nobody'; `metering accounts list` shows all\n"
    )
    run("verify", code=0)


def test_a_file_that_is_not_a_database_is_reported_in_one_line(run, tmp_path):
    (tmp_path / "metering.db").write_bytes(b"this is no database, but it is long enough to look at" * 20)
    for arguments in (("spend",), ("db", "upgrade")):
        errors = run(*arguments, code=2).stderr
        assert errors.startswith(b"error[database_error]: ")
        assert errors.count(b"\n") == 1


def test_reading_without_a_database_creates_none(run, tmp_path):
    assert run("spend", code=2).stderr.startswith(b"error[no_database]: ")
    assert list(tmp_path.iterdir()) == []


def test_settings_come_from_the_env_file_and_the_environment_overrides_it(run, tmp_path):
    (tmp_path / ".env").write_text("METERING_DATABASE_URL=sqlite:///from-file.db\n")
    run("db", "upgrade")
    assert (tmp_path / "from-file.db").exists()
    run("db", "upgrade", env={"METERING_DATABASE_URL": "sqlite:///from-environment.db"})
    assert (tmp_path / "from-environment.db").exists()


def test_an_invalid_setting_is_bad_usage(run):
    unknown = {"METERING_" + "COLOUR": "blue"}
    assert b"METERING_COLOUR is not a setting" in run("spend", code=2, env=unknown).stderr
    assert run("spend", code=2, env={"METERING_SERIES_CAP": "many"}).stderr.startswith(b"error[invalid_setting]: ")


def test_a_pipe_gets_no_color_and_whole_values(run, tmp_path):
    log = tmp_path / "log.ndjson"
    model = "an-organisation-with-a-long-name/" + "A-Model-Whose-Name-Is-Longer-Than-Any-Terminal-Is-Wide-" * 3
    log.write_text(json.dumps(request(model=model)) + "\n")
    run("ingest", log, "--account", "acme")
    output = run("spend", env={"FORCE_COLOR": "", "COLUMNS": "40"}).stdout.decode()
    assert "\x1b" not in output
    assert model in output


def test_a_closed_pipe_is_not_reported_as_an_error(run):
    run("db", "upgrade")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run("prices", "list", code=141, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_reported_in_one_line(run):
    run("db", "upgrade")
    with Path("/dev/full").open("wb") as full:
        done = run("prices", "list", code=2, stdout=full, stderr=subprocess.PIPE)
    assert done.stderr.startswith(b"error[io_error]: ")
    assert done.stderr.count(b"\n") == 1


def test_a_large_log_is_decoded_by_a_child_process(run, tmp_path):
    usage = {"input_tokens": 1, "output_tokens": 1}
    records = (request(number, usage=usage, account=None, model=LLAMA) for number in range(20_000))
    log = tmp_path / "big.ndjson"
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    report = json.loads(run("ingest", log, "--account", "acme", "--json").stdout)
    assert report["total"]["accepted"] == 20_000
    # 40,000 tokens at $1.04 a million
    spent = json.loads(run("spend", "--json").stdout)["total"]
    assert spent["amount_usd"] == "0.041600000"
