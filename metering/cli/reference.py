"""The reference of the command line in Markdown, generated from the commands.

python -m metering.cli.reference > docs/cli.md
"""

import inspect
import sys
from collections.abc import Iterator

import click

from metering.cli.root import cli

_INTRODUCTION = """\
# The command line

Generated from the commands by `python -m metering.cli.reference > docs/cli.md`; a test checks that it is current.

Every command reads its settings from the environment or from `.env` in the working directory ([settings](settings.md)).
Times and months are UTC: a time is written with its time zone (`2026-11-03T10:15:00Z`), a date means midnight UTC, a month is
`2026-11`. Amounts are US dollars.

**Tables and JSON.** Tables are for people; amounts are exact, never rounded. `--json` is for programs: the answer is that of
the HTTP API, with stable field names; an amount is a whole number of nano-dollars (`*_nano_usd`, 1e-9) and the same as a
decimal string (`*_usd`); instants are RFC 3339. Notes, progress, logs and errors go to stderr. Output to a pipe has no color,
and nothing is cut or wrapped.

**Exit codes.**

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | done, but records were rejected or a check failed |
| 2 | not done: bad usage, an invalid setting, an unknown name, a file or database that cannot be read; one line `error[code]:
message` states the reason |
| 130 | interrupted; what was stored stays stored |
| 141 | the reader of the output closed the pipe |

**Errors in an input.** `ingest` and `quarantine replay` report each input that they could not read completely as
`error[code]: input: what is wrong`.

| code | meaning |
| --- | --- |
| `unreadable_file` | it does not exist, is a folder, or is not readable |
| `empty_file` | it is empty |
| `damaged_file` | it is truncated or damaged; the complete lines before that were stored |
| `unknown_format` | its format is not recognized or not supported |
| `missing_column` | a mapped column, or the column with the time, is missing from the CSV header, or is in it twice |
| `not_json` | it is one JSON document that cannot be split into records |
"""


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
    """Return a command's help; preformatted paragraphs become code blocks."""
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
