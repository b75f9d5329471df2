"""``metering verify``: prove on the live database that everything adds up."""

import sys

import click
from rich.progress import BarColumn, Progress, TextColumn

from metering.answers.upkeep.verification import verification_answer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, console, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.violations import Violation
from metering.operations.service.open_service import Service
from metering.operations.upkeep.verify import CHECKS, STATEMENT_CHECKS, Check
from metering.operations.upkeep.verify import verify as find_violations


@click.command()
@click.option("--statements", is_flag=True, help="Only what was closed: statements, their credits, nothing charged afterwards.")
@json_option
@click.pass_obj
def verify(invocation: Invocation, *, statements: bool, as_json: bool) -> None:
    """Prove that everything adds up: events with their charges are the rollups are the answers, to the nano-dollar.

    Closed statements are computed again from the facts and compared with what was closed, line by line.

    Only reads. Exits with 1 when an invariant does not hold.
    """
    checks = STATEMENT_CHECKS if statements else CHECKS
    with open_session(invocation) as service:
        violations = _find(service, checks)
    answer = verification_answer([check.name for check in checks], violations)
    if as_json:
        print_json(answer)
    elif violations:
        columns = [Column("invariant", "name"), Column("where", "name"), Column("expected", "name"), Column("got", "name")]
        print_table(columns, [[each.code, each.where, each.expected, each.got] for each in violations])
        for message in dict.fromkeys(each.message for each in violations):
            echo(f"- {sanitize(message)}")
        echo(f"{len(violations):,} violations")
    else:
        echo(f"all is well: {len(checks)} checks ({', '.join(check.name for check in checks)})")
    if violations:
        stop(1)


def _find(service: Service, checks: tuple[Check, ...]) -> list[Violation]:
    if not sys.stderr.isatty():
        return find_violations(service.engine, checks=checks)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), console=console(sys.stderr), transient=True)
    with bar:
        task = bar.add_task("", total=1)

        def told(check: str, done: int, of: int) -> None:
            bar.update(task, description=check, completed=done, total=max(of, 1))

        return find_violations(service.engine, checks=checks, on_progress=told)
