"""``metering usage conflicts``: records that contradict counted events."""

import click

from metering.answers.usage.conflicts import ConflictAnswer, ConflictPage, ConflictSideAnswer, conflict_answer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.usage.conflicts import Conflict
from metering.operations.accounts.manage_accounts import account_names, show_account
from metering.operations.service.open_service import Service
from metering.operations.usage.resolve_conflicts import accept_conflict, dismiss_conflict, list_conflicts, show_conflict
from pricing.dollars import display_nano

SHOWN = 50
_BY = "cli"

_conflict_argument = click.argument("conflict", type=click.IntRange(min=1))
_reason_option = click.option("--reason", default="", help="The reason, recorded with the decision.")


@click.group()
def conflicts() -> None:
    """List records that contradict a counted event, and accept or dismiss them."""


@conflicts.command("list")
@click.option("--account", metavar="NAME", help="Only conflicts of this account. Default: all.")
@click.option("--all", "with_decided", is_flag=True, help="Also those that were decided. Default: only open ones.")
@click.option("--limit", type=click.IntRange(1), help=f"Maximum number of conflicts. Default: {SHOWN}, or all with --json.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, account: str | None, with_decided: bool, limit: int | None, as_json: bool) -> None:
    """List conflicts, oldest first, with what differs and what each side costs."""
    with open_session(invocation) as service:
        account_id = None if account is None else show_account(service.engine, account).id
        found, count = list_conflicts(
            service.engine,
            service.settings.ingest,
            account_id=account_id,
            with_decided=with_decided,
            limit=limit or (None if as_json else SHOWN),
        )
        names = account_names(service.engine)
    page = ConflictPage(items=[conflict_answer(each, names) for each in found], next_cursor=None, open=count)
    if as_json:
        print_json(page)
        return
    if not page.items:
        echo("no conflicts")
        return
    columns = [Column("conflict", "count"), Column("account", "name"), Column("ID", "name"), Column("source", "name")]
    print_table(
        [*columns, Column("differs in", "words"), Column("counted", "money"), Column("record", "money"), Column("decision")],
        [_row(each) for each in page.items],
    )
    if not with_decided and page.open > len(page.items):
        echo(f"{page.open - len(page.items):,} more; raise --limit to list them")
    echo("compare the two with `metering usage conflicts show CONFLICT`, then accept or dismiss it")


@conflicts.command()
@_conflict_argument
@json_option
@click.pass_obj
def show(invocation: Invocation, *, conflict: int, as_json: bool) -> None:
    """Show CONFLICT side by side: the event that counts, and the record that contradicts it."""
    with open_session(invocation) as service:
        _print(service, show_conflict(service.engine, service.settings.ingest, conflict), as_json=as_json)


@conflicts.command()
@_conflict_argument
@_reason_option
@json_option
@click.pass_obj
def accept(invocation: Invocation, *, conflict: int, reason: str, as_json: bool) -> None:
    """Accept CONFLICT: its record replaces the event. The charge is reversed and replaced; the decision is permanent."""
    with open_session(invocation) as service:
        decided = accept_conflict(service.engine, service.settings.ingest, conflict, reason=reason, by=_BY, now=service.clock())
        _print(service, decided, as_json=as_json)


@conflicts.command()
@_conflict_argument
@_reason_option
@json_option
@click.pass_obj
def dismiss(invocation: Invocation, *, conflict: int, reason: str, as_json: bool) -> None:
    """Dismiss CONFLICT: the event stays as it is. The decision is permanent."""
    with open_session(invocation) as service:
        decided = dismiss_conflict(
            service.engine, service.settings.ingest, conflict, reason=reason, by=_BY, now=service.clock()
        )
        _print(service, decided, as_json=as_json)


def _print(service: Service, conflict: Conflict, *, as_json: bool) -> None:
    answer = conflict_answer(conflict, account_names(service.engine))
    if as_json:
        print_json(answer)
        return
    echo(f"conflict {answer.id}: ID {sanitize(answer.event_id)}, source {sanitize(answer.source)}, account {answer.account}")
    names = [name for name in ConflictSideAnswer.model_fields if not name.startswith("charge_")]
    rows = [[name.replace("_", " "), _shown(answer.counted, name), _shown(answer.record, name)] for name in names]
    rows.append(["charge", _charge(answer.counted), _charge(answer.record)])
    print_table([Column("field"), Column("counted", "words"), Column("record", "words")], rows)
    if answer.counted is None:
        echo("no event counts under this ID now: it was withdrawn, or retired with its month")
    if answer.decision is not None:
        because = f": {sanitize(answer.reason)}" if answer.reason else ""
        echo(f"{answer.decision.value} by {sanitize(answer.decided_by)} at {answer.decided_at}{because}")


def _row(conflict: ConflictAnswer) -> list[str | int]:
    differs = ", ".join(conflict.differs_in).replace("_", " ")
    decision = "" if conflict.decision is None else conflict.decision.value
    amounts = [_charge(conflict.counted), _charge(conflict.record)]
    return [conflict.id, conflict.account, conflict.event_id, conflict.source, differs, *amounts, decision]


def _shown(side: ConflictSideAnswer | None, name: str) -> str:
    value = None if side is None else getattr(side, name)
    if isinstance(value, dict):
        return ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in value.items())
    return "" if value is None else str(value)


def _charge(side: ConflictSideAnswer | None) -> str:
    if side is None:
        return ""
    return "unpriced" if side.charge_nano_usd is None else display_nano(side.charge_nano_usd)
