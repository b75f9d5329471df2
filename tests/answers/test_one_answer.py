"""There is one answer: what a command prints with ``--json`` is what its route returns, field by field."""

import json
import pkgutil
import shlex
import shutil
from importlib import import_module

import click
import pytest
from starlette.testclient import TestClient

from metering.api.app import create_api
from metering.cli.root import cli
from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.operations.service.open_service import open_service
from metering.operations.service.settings import read_settings
from support import answer_pairs
from support.command_line import CommandLine
from support.places import TESTS
from support.request_records import request

SUBJECTS = [
    import_module(f"support.answer_pairs.{each.name}")
    for each in pkgutil.iter_modules(answer_pairs.__path__)
    if each.name != "pair"
]
PAIRS = [pair for subject in SUBJECTS for pair in subject.PAIRS]
WITHOUT_ROUTE = {name: reason for subject in SUBJECTS for name, reason in subject.WITHOUT_ROUTE.items()}
WITHOUT_COMMAND = {name: reason for subject in SUBJECTS for name, reason in subject.WITHOUT_COMMAND.items()}
DOCUMENT = json.loads((TESTS / "api" / "openapi.json").read_text())


def json_commands(group=cli, path=()):
    """Yield the words of every command that takes ``--json``."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from json_commands(command, (*path, name))
        elif any("--json" in param.opts for param in command.params):
            yield " ".join((*path, name))


def operations():
    """Yield the operation of every route."""
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            yield operation["operationId"]


def command_of(pair):
    """The command without its arguments."""
    return max((name for name in json_commands() if f"{pair.command} ".startswith(f"{name} ")), key=len)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """A folder with a database that has something of everything."""
    folder = tmp_path_factory.mktemp("seeded")
    line = CommandLine(folder)
    line.done("ingest", line.write_log([request(number) for number in range(3)]), "--account", "acme", "--plan", "pro")
    for subject in SUBJECTS:
        for command in subject.SEED:
            line.done(*shlex.split(command))
        if prepare := getattr(subject, "prepare", None):
            prepare(line)
    return folder


@pytest.fixture
def copies(seeded, tmp_path):
    """Two command lines on separate databases with the same content."""
    for name in ("command", "route"):
        shutil.copytree(seeded, tmp_path / name)
    return CommandLine(tmp_path / "command"), CommandLine(tmp_path / "route")


def answer_of_route(line, pair):
    """Return what the route answers on the database of a command line."""
    service = open_service(read_settings(line.environment), lambda: line.now, create=False)
    app = create_api(service)
    _, token = create_key(service.engine, NewKey("test", ["admin"]), now=line.now)
    method, path = pair.call.split(" ", 1)
    answer = TestClient(app, headers={"authorization": f"Bearer {token}"}).request(method, path, json=pair.body)
    app.state.intake.close()
    service.engine.dispose()
    assert answer.status_code < 300, answer.text
    return answer.json()


def without(value, fresh):
    """Return an answer without the values of some fields."""
    if isinstance(value, dict):
        return {name: None if name in fresh else without(part, fresh) for name, part in value.items()}
    return [without(part, fresh) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.command)
def test_a_command_prints_what_its_route_answers(copies, pair):
    command, route = copies
    if pair.operation == "list_keys":  # calling the route needs a key, which it lists
        command.done("keys", "create", "--name", "test", "--scope", "admin")
    assert without(command.json(*shlex.split(pair.command)), pair.fresh) == without(answer_of_route(route, pair), pair.fresh)


def test_every_command_with_json_has_its_route_or_a_reason_for_none():
    paired = {command_of(pair) for pair in PAIRS}
    assert sorted(set(json_commands()) - paired - WITHOUT_ROUTE.keys()) == []
    assert sorted(paired & WITHOUT_ROUTE.keys()) == []


def test_every_route_has_its_command_or_a_reason_for_none():
    paired = {pair.operation for pair in PAIRS}
    assert sorted(set(operations()) - paired - WITHOUT_COMMAND.keys()) == []
    assert sorted(paired & WITHOUT_COMMAND.keys()) == []
