"""The reference of the command line is what the commands say, and what a group says of a command is what the command says."""

import re

import click
import pytest

from metering.cli.reference import reference
from metering.cli.root import COMMANDS, cli
from support.places import ROOT


def commands(group=cli, path=("metering",)):
    """Every command with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands())


def words(path):
    return " ".join(path)


def test_the_reference_is_current():
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run: python -m metering.cli.reference > docs/cli.md"


@pytest.mark.parametrize("path", ALL, ids=words)
def test_every_command_is_in_the_reference_with_all_its_options(path):
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = text.partition(f"# {words(path)}\n")[2].partition("\n#")[0]
    options = [name for param in ALL[path].params for name in param.opts if name.startswith("--")]
    assert section
    assert [name for name in options if name != "--help" and not re.search(rf"(`|, ){name}\b", section)] == []


@pytest.mark.parametrize("path", ALL, ids=words)
def test_every_command_and_option_says_what_it_is_for(path):
    command = ALL[path]
    assert command.help
    silent = [param.name for param in command.params if isinstance(param, click.Option) and not param.help]
    assert silent == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_shown_before_a_command_is_loaded_is_that_of_the_command(name):
    first, summary = ALL["metering", name].help.split("\n")[0], COMMANDS[name].summary
    if isinstance(ALL["metering", name], click.Group):
        assert summary == first
    assert summary.split()[:2] == first.split()[:2]


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if not isinstance(command, click.Group)], ids=words)
def test_everything_that_prints_a_table_prints_json_too(path):
    without = {
        ("metering", "serve"),
        ("metering", "sidecar"),
        ("metering", "statements", "export"),
        ("metering", "reconcile", "export"),
    }
    options = {name for param in ALL[path].params for name in param.opts}
    assert ("--json" in options) == (path not in without)
