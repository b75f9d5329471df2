"""A group whose commands are imported when they are called; until then it knows only their summaries.

Commands in the group's own module are added as in any group, and are listed first.
"""

from importlib import import_module
from typing import Any, NamedTuple

import click

from metering.domain.nearest_name import nearest_name

_LONGEST_SUMMARY = 100


class LazyCommand(NamedTuple):
    """The location of a command (``module:name``), and its summary in the group's help."""

    target: str
    summary: str


class LazyGroup(click.Group):
    """Shows its help without importing its commands."""

    def __init__(self, *args: Any, lazy: dict[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names; those to be imported in the order of declaration."""
        return [*super().list_commands(ctx), *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name."""
        lazy = self.lazy.get(cmd_name)
        if lazy is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = lazy.target.partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{lazy.target} is not a command")
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown name, suggest the nearest one."""
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-"):
            nearest = nearest_name(name, self.list_commands(ctx))
            hint = "" if nearest is None else f" Did you mean {nearest!r}?"
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing them."""
        own = [(name, self.commands[name].get_short_help_str(_LONGEST_SUMMARY)) for name in super().list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *((name, command.summary) for name, command in self.lazy.items())])
