"""The reference of the command line in Markdown, from the commands themselves.

python -m metering.cli.reference > docs/cli.md
"""

import inspect
import sys
from collections.abc import Iterator

import click

from metering.cli.root import cli

_INTRODUCTION = """\
# The command line

Written from the commands by `python -m metering.cli.reference > docs/cli.md`; a test checks that it is current.

Every command reads its settings from the environment or from `.env` in the working directory ([settings](settings.md)).
Times and months are UTC: a time is written with its zone (`2026-11-03T10:15:00Z`), a date stands for midnight UTC, a month is
`2026-11`. Amounts are US dollars.

**Tables and JSON.** Tables are for people: amounts are exact, nothing is rounded for show. `--json` is for programs: the field
names are those of the HTTP API and stay; an amount is a whole number of nano-dollars (`*_nano_usd`, 1e-9) and the same as a
decimal string (`*_usd`); instants are RFC 3339. Remarks, progress and errors go to stderr. A pipe gets no colour, and nothing
is cut or wrapped.

**Exit codes.**

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | done, and records were rejected or a check failed |
| 2 | not done: bad usage, a bad setting, a name that does not exist, a file or database that can not be read; one line `error[code]: message` says why |
| 130 | interrupted; what was stored stays |
| 141 | whoever read the output went away |

**What can be wrong with an input.** `ingest` and `quarantine replay` name each one that they could not read to its end as
`error[code]: input: what is wrong`.

| code | meaning |
| --- | --- |
| `unreadable_file` | it is not there, is a folder, or may not be read |
| `empty_file` | there is nothing in it |
| `damaged_file` | it is cut off or damaged; the whole lines before that were stored |
| `unknown_format` | its format can not be told or read |
| `missing_column` | a column that is mapped, or one with the time, is not in the header of its CSV, or is there twice |
| `not_json` | it is one JSON document that can not be split into records |
"""  # noqa: E501 - a row of a table is one line


def reference() -> str:
    """Return the whole reference."""
    root = click.Context(cli, info_name="metering", terminal_width=10_000, max_content_width=10_000)
    return "\n".join([_INTRODUCTION, *_sections(cli, root)])


def _sections(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield f"## {inner.command_path}\n\n{_text(command)}\n"
            yield from _sections(command, inner)
        else:
            level = "##" if context.parent is None else "###"
            usage = command.get_usage(inner).removeprefix("Usage: ")
            yield f"{level} {inner.command_path}\n\n`{usage}`\n\n{_text(command)}\n"
            yield from _options(command, inner)


def _text(command: click.Command) -> str:
    """Return a command's help; a part that click leaves as it is written becomes a block of code."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        f"```sh\n{part.removeprefix(chr(8)).strip()}\n```" if part.startswith("\b") else part for part in paragraphs
    )


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    options = [param for param in command.params if isinstance(param, click.Option)]
    records = [option.get_help_record(context) for option in options]
    rows = [(_cell(name), _cell(text)) for name, text in filter(None, records)]
    if rows:
        yield "\n".join(["| option | meaning |", "| --- | --- |", *(f"| `{name}` | {text} |" for name, text in rows), ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
