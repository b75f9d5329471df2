"""``metering usage correct``, ``withdraw``, ``runs`` and ``undo``."""

import sys
from collections.abc import Callable

import click
from msgspec import Struct

from metering.answers.usage.corrections import (
    CorrectedUsageAnswer,
    CorrectionAnswer,
    CorrectionRunAnswer,
    CorrectionRunPage,
    correction_answer,
    correction_run_answer,
)
from metering.cli.arguments import collected, end_option, json_option, start_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.domain.charges.corrections import (
    CHANGEABLE,
    SELECTABLE,
    CorrectionChanges,
    CorrectionRun,
    CorrectionScope,
    RunKind,
)
from metering.domain.usage.events import ROUTES, UNKNOWN
from metering.operations.accounts.manage_accounts import account_names, show_account
from metering.operations.charges.correct_usage import (
    continue_correction,
    list_corrections,
    preview_correction,
    show_correction,
    start_correction,
    start_undo,
)
from metering.operations.service.open_service import Service
from pricing.dollars import display_nano

_PROGRESS_EVERY = 100_000
_WHERE_HELP = f"Only requests recorded with this value, such as provider=unknown. Repeatable. Fields: {', '.join(SELECTABLE)}."


class ScopeOptions(Struct, frozen=True, kw_only=True):
    """The options that choose requests, and whether to write."""

    account: str
    source: str | None
    where: tuple[str, ...]
    start: int | None
    end: int | None
    reason: str
    apply: bool
    as_json: bool

    def scope(self, service: Service) -> CorrectionScope:
        """Return the scope. Raises UsageError for a condition that is not FIELD=VALUE, and NotFoundError for the account."""
        conditions = {}
        for condition in self.where:
            name, separator, value = condition.partition("=")
            if not separator:
                raise click.UsageError(f"--where {condition[:60]!r} is not FIELD=VALUE, such as provider=unknown")
            conditions[name.strip()] = value.strip()
        account_id = show_account(service.engine, self.account).id
        return CorrectionScope(account_id, self.start, self.end, self.source, conditions)

    def check(self) -> None:
        """Raise UsageError if the changes are to be written and there is no reason."""
        if self.apply and not self.reason.strip():
            raise click.UsageError("--apply needs a --reason, which is recorded on every charge")


class CorrectOptions(ScopeOptions, frozen=True, kw_only=True):
    """The options of ``correct``: also the new values."""

    provider: str | None
    model: str | None
    operation: str | None
    route: str | None
    project: str | None
    key: str | None

    def changes(self) -> CorrectionChanges:
        """Return the new values."""
        values = {name: getattr(self, name) for name in CHANGEABLE}
        return CorrectionChanges({name: value for name, value in values.items() if value is not None})


def _scope_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        [
            click.option("--account", required=True, metavar="NAME", help="The account whose usage it is."),
            click.option("--source", metavar="NAME", help="Only records from this source. Default: any."),
            click.option("--where", multiple=True, metavar="FIELD=VALUE", help=_WHERE_HELP),
            start_option("Only requests from this time on."),
            end_option("Only requests before this time."),
            click.option("--reason", default="", help="The reason, recorded on every charge. Required with --apply."),
            click.option("--apply", is_flag=True, help="Write the changes. Default: only preview them."),
            json_option,
        ]
    ):
        command = option(command)
    return command


@click.command()
@_scope_options
@click.option("--provider", metavar="NAME", help="The provider that served the requests.")
@click.option("--model", metavar="NAME", help="The model.")
@click.option("--operation", metavar="NAME", help="The operation, such as chat or embeddings.")
@click.option("--route", type=click.Choice([route for route in ROUTES if route != UNKNOWN]), help="The billing route.")
@click.option("--project", metavar="NAME", help="The project; empty for none.")
@click.option("--key", metavar="NAME", help="The caller's key; empty for none.")
@click.pass_obj
@collected(CorrectOptions)
def correct(invocation: Invocation, options: CorrectOptions) -> None:
    """Set the provider, model, route, project or key of requests that were recorded without or with the wrong one.

    Each request is charged again at the prices of what it is corrected to. Without --apply, the changes are only shown. An
    interrupted run is continued with `metering usage runs --resume`; repeating the command changes nothing.

    \b
    Example: a log that does not say which provider served a request.
      metering usage correct --account acme --where provider=unknown --provider together --route routed \\
        --reason "the client used Together" --apply
    """
    _run(invocation, options, options.changes())


@click.command()
@_scope_options
@click.pass_obj
@collected(ScopeOptions)
def withdraw(invocation: Invocation, options: ScopeOptions) -> None:
    """Take back usage that should not have been ingested: its charges are reversed and it is no longer counted.

    Requests that another source recorded too are kept. Ingesting a withdrawn record again counts it again. Without --apply, the
    changes are only shown.

    \b
    Example: a test log was ingested into the wrong account.
      metering usage withdraw --account acme --source test.ndjson --reason "a test" --apply
    """
    _run(invocation, options, None)


@click.command()
@click.option("--account", metavar="NAME", help="Only runs of this account. Default: all.")
@click.option("--resume", type=click.IntRange(min=1), metavar="RUN", help="Continue an interrupted run.")
@json_option
@click.pass_obj
def runs(invocation: Invocation, *, account: str | None, resume: int | None, as_json: bool) -> None:
    """List the runs that corrected or withdrew usage, oldest first."""
    with open_session(invocation) as service:
        if resume is not None:
            _finish(service, show_correction(service.engine, resume), as_json=as_json)
            return
        account_id = None if account is None else show_account(service.engine, account).id
        names = account_names(service.engine)
        found = [correction_run_answer(run, names) for run in list_corrections(service.engine, account_id)]
    if as_json:
        print_json(CorrectionRunPage(items=found, next_cursor=None))
        return
    if not found:
        echo("no usage was corrected or withdrawn")
        return
    print_table(_RUN_COLUMNS, [_run_cells(run) for run in found])
    for run in found:
        if run.finished_at is None:
            echo(f"run {run.id} is not finished: continue it with `metering usage runs --resume {run.id}`")


@click.command()
@click.argument("run", type=click.IntRange(min=1))
@click.option("--reason", default="", help="The reason, recorded on every charge. Default: which run was undone.")
@json_option
@click.pass_obj
def undo(invocation: Invocation, *, run: int, reason: str, as_json: bool) -> None:
    """Undo RUN: every request that it changed gets its charge from before back.

    Requests that changed again since are kept as they are. A run can be undone once.
    """
    with open_session(invocation) as service:
        _finish(service, start_undo(service.engine, run, reason=reason, now=service.clock()), as_json=as_json)


def _run(invocation: Invocation, options: ScopeOptions, changes: CorrectionChanges | None) -> None:
    options.check()
    with open_session(invocation) as service:
        scope = options.scope(service)
        if options.apply:
            run = start_correction(service.engine, scope, changes, reason=options.reason, now=service.clock())
            _finish(service, run, as_json=options.as_json)
            return
        found = preview_correction(service.engine, scope, changes, service.settings.ingest)
        answer = correction_answer(found, None, {})
    if options.as_json:
        print_json(answer)
        return
    _print_changes(answer, withdrawn=changes is None)
    if answer.changed:
        echo("preview only; add --reason and --apply to write it")


def _finish(service: Service, run: CorrectionRun, *, as_json: bool) -> None:
    on_progress = _progress() if sys.stderr.isatty() else None
    result = continue_correction(service.engine, run.id, service.settings.ingest, clock=service.clock, on_progress=on_progress)
    answer = correction_answer(result.done_now, result.run, account_names(service.engine))
    if as_json or answer.run is None:
        print_json(answer)
        return
    _print_changes(answer, withdrawn=answer.run.kind is RunKind.WITHDRAW)
    echo(
        f"run {run.id} finished: {counted(answer.run.events_changed, 'request')} changed ({answer.run.reason});"
        f" take it back with `metering usage undo {run.id}`"
    )


def _progress() -> Callable[[CorrectionRun], None]:
    shown = 0

    def show(run: CorrectionRun) -> None:
        nonlocal shown
        if run.events_changed // _PROGRESS_EVERY > shown:
            shown = run.events_changed // _PROGRESS_EVERY
            warn(f"run {run.id}: {run.events_changed:,} requests changed")

    return show


def _print_changes(answer: CorrectionAnswer, *, withdrawn: bool) -> None:
    if answer.changed:
        columns = [Column("provider", "name"), Column("model", "name"), Column("route"), Column("month")]
        counts = [Column("requests", "count"), Column("unpriced", "count"), Column("still unpriced", "count")]
        print_table(
            [*columns, *counts, Column("before", "money"), Column("after", "money")],
            [[each.provider, each.model, each.route, each.month, *_cells(each)] for each in answer.changed],
            totals=["total", "", "", "", *_cells(answer.total)],
        )
    else:
        echo("no requests to withdraw match" if withdrawn else "no requests match that would change")
    if answer.events_kept:
        echo(f"{counted(answer.events_kept, 'request')} kept: another record of the request counts, or it changed since")


def _cells(usage: CorrectedUsageAnswer) -> list[Cell]:
    amounts = display_nano(usage.before_nano_usd), display_nano(usage.after_nano_usd)
    return [usage.events, usage.unpriced_before, usage.unpriced_after, *amounts]


_RUN_COLUMNS = (
    Column("run", "count"),
    Column("kind"),
    Column("started", "time"),
    Column("account", "name"),
    Column("requests", "name"),
    Column("changed", "count"),
    Column("kept", "count"),
    Column("before", "money"),
    Column("after", "money"),
    Column("reason", "words"),
)


def _run_cells(run: CorrectionRunAnswer) -> list[Cell]:
    if run.undoes is not None:
        what = f"of run {run.undoes}"
    else:
        limits = [f"{name}={value}" for name, value in run.where.items()]
        limits += [f"source {run.source}"] if run.source is not None else []
        limits += [f"from {run.start[:10]}"] if run.start else []
        limits += [f"until {run.end[:10]}"] if run.end else []
        what = ", ".join(limits) or "all"
    return [
        run.id,
        run.kind.value,
        f"{run.requested_at[:10]} {run.requested_at[11:19]}Z",
        run.account,
        what,
        run.events_changed,
        run.events_kept,
        display_nano(run.before_nano_usd),
        display_nano(run.after_nano_usd),
        run.reason,
    ]
