"""The command ``metering``: its commands, and how their errors are reported.

Exit codes: 0 done; 1 done with rejected items, or a check failed; 2 bad usage: arguments, settings or names; 130 interrupted;
141 the reader of the output closed the pipe.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from metering import __version__
from metering.cli.lazy_group import LazyCommand, LazyGroup
from metering.cli.terminal.sanitize import sanitize
from metering.domain.errors import DomainError
from metering.domain.texts import control_character
from pricing.errors import PricingError

BAD_USAGE = 2
INTERRUPTED = 130
READER_GONE = 141

COMMANDS = {
    "ingest": LazyCommand("metering.cli.usage.ingest:ingest", "Ingest request logs; count and price each request once."),
    "spend": LazyCommand("metering.cli.charges.spend:spend", "Show spend by period and group."),
    "statements": LazyCommand("metering.cli.statements.statements:statements", "Show, export and close monthly statements."),
    "reconcile": LazyCommand(
        "metering.cli.reconciliation.reconcile:reconcile",
        "Reconcile invoices with metered usage, and resolve the variances.",
    ),
    "accounts": LazyCommand("metering.cli.accounts.accounts:accounts", "Declare who is billed and on which plan."),
    "credits": LazyCommand("metering.cli.credits.credits:credit", "Show and grant credits."),
    "budgets": LazyCommand("metering.cli.budgets.budgets:budgets", "Set limits on spend, and show how much of them is used."),
    "prices": LazyCommand("metering.cli.prices.prices:prices", "Show and import prices."),
    "rate": LazyCommand("metering.cli.charges.rate:rate", "Charge unpriced usage for which a price is known now."),
    "rerate": LazyCommand("metering.cli.charges.rerate:rerate", "Re-rate existing charges at corrected prices."),
    "explain": LazyCommand("metering.cli.charges.explain:explain", "Explain the charge of an event."),
    "alerts": LazyCommand("metering.cli.alerts.alerts:alerts", "List and show alerts."),
    "webhooks": LazyCommand("metering.cli.alerts.webhooks:webhooks", "Manage webhook endpoints for alerts."),
    "usage": LazyCommand(
        "metering.cli.usage.usage:usage",
        "Correct or withdraw usage that was ingested wrong, and decide about conflicting records.",
    ),
    "quarantine": LazyCommand("metering.cli.usage.quarantine:quarantine", "List rejected records, and read their files again."),
    "verify": LazyCommand("metering.cli.upkeep.verify:verify", "Verify that everything adds up, to the nano-dollar."),
    "retention": LazyCommand("metering.cli.upkeep.retention:retention", "Remove the events of closed months from the log."),
    "keys": LazyCommand("metering.cli.accounts.keys:keys", "Create and revoke API keys."),
    "serve": LazyCommand("metering.cli.upkeep.serve:serve", "Serve the HTTP API."),
    "sidecar": LazyCommand(
        "metering.cli.upkeep.sidecar:sidecar", "Pass requests on to the Hugging Face router, and meter each of them."
    ),
    "db": LazyCommand("metering.cli.upkeep.db:db", "Upgrade the database."),
}


class RootGroup(LazyGroup):
    """Reports every expected error as one line on stderr and an exit code; a traceback is a bug."""

    def main(self, args: Sequence[str] | None = None, *names: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run, and exit with the exit code; without ``standalone_mode``, return it."""
        code = self._run(args, *names, **extra)
        if standalone_mode:
            sys.exit(code)
        return code

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse control characters in arguments: no name, reason or path needs one."""
        for argument in args:
            if found := control_character(argument):
                raise click.UsageError(f"{sanitize(argument)[:60]!r} contains the control character {found}; remove it", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interruption is reported in one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # click itself would exit with 1, which means that records were rejected.
            _discard_output()
            raise click.exceptions.Exit(READER_GONE) from None

    def _run(self, args: Sequence[str] | None, *names: Any, **extra: Any) -> int:
        try:
            code = super().main(args, *names, **(extra | {"standalone_mode": False}))
            sys.stdout.flush()
        except click.Abort:
            return INTERRUPTED
        except click.ClickException as error:
            return _report_usage(error)
        except (DomainError, PricingError) as error:
            click.echo(f"error[{error.code}]: {sanitize(str(error))}", err=True)
            return BAD_USAGE
        except BrokenPipeError:
            _discard_output()
            return READER_GONE
        except OSError as error:
            _discard_output()
            click.echo(f"error[io_error]: {sanitize(error.strerror or str(error))}", err=True)
            return BAD_USAGE
        return code if isinstance(code, int) else 0


def _report_usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return BAD_USAGE
    context = error.ctx if isinstance(error, click.UsageError) else None
    where = f" (see: {context.command_path} --help)" if context is not None else ""
    click.echo(f"error[usage]: {error.format_message()}{where}", err=True)
    return BAD_USAGE


def _discard_output() -> None:
    """Keep the interpreter from reporting, at exit, output that cannot be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def stop(code: int) -> NoReturn:
    """End the command with an exit code."""
    raise click.exceptions.Exit(code)


@click.group(
    cls=RootGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="metering")
def cli() -> None:
    """Meter what LLM inference through the Hugging Face router costs.

    All data is in the database at METERING_DATABASE_URL (default: sqlite:///metering.db). Amounts are US dollars, times and
    months are UTC.
    """
