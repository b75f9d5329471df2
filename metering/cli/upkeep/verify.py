"""``metering verify``: check on the live database that everything adds up."""

import sys

import click
from rich.progress import BarColumn, Progress, TextColumn

from metering.answers.upkeep.verification import verification_answer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Column, console, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.violations import Violation
from metering.operations.service.open_service import Service
from metering.operations.upkeep.verify import CHECKS, STATEMENT_CHECKS, Check
from metering.operations.upkeep.verify import verify as find_violations


@click.command()
@click.option("--statements", is_flag=True, help="Check only closed statements, their credits, and charges after closing.")
@json_option
@click.pass_obj
def verify(invocation: Invocation, *, statements: bool, as_json: bool) -> None:
    """Verify that everything adds up: events and their charges, rollups, and spend agree to the nano-dollar.

    Closed statements are computed again from the facts and compared line by line.

    Reads only. The exit code is 1 if an invariant does not hold.
    """
    checks = STATEMENT_CHECKS if statements else CHECKS
    with open_session(invocation) as service:
        violations = _find(service, checks)
    answer = verification_answer([check.name for check in checks], violations)
    if as_json:
        print_json(answer)
    elif answer.violations:
        columns = [Column("invariant", "name"), Column("where", "name"), Column("expected", "name"), Column("got", "name")]
        print_table(columns, [[each.code, each.where, each.expected, each.got] for each in answer.violations])
        for message in dict.fromkeys(each.message for each in answer.violations):
            echo(f"- {sanitize(message)}")
        echo(counted(len(answer.violations), "violation"))
    else:
        echo(f"OK: {counted(len(checks), 'check')} passed")
    if not answer.ok:
        stop(1)


def _find(service: Service, checks: tuple[Check, ...]) -> list[Violation]:
    if not sys.stderr.isatty():
        return find_violations(service.engine, checks=checks)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), console=console(sys.stderr), transient=True)
    with bar:
        task = bar.add_task("", total=1)

        def update(check: str, done: int, total: int) -> None:
            bar.update(task, description=check, completed=done, total=max(total, 1))

        return find_violations(service.engine, checks=checks, on_progress=update)
