"""``metering reconcile explain | resolve | export``: work through what a reconciliation found."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import click

from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.reconciliation.reconciliation_table import show_variance_words
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.errors import DomainError
from metering.domain.instants import format_instant
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.descriptions import describe_day, describe_explanation, describe_location
from metering.domain.reconciliation.records import Decision, Evidence, Variance, VarianceExplanation
from metering.domain.reconciliation.variances import VarianceState
from metering.exports.reconciliation_csv import evidence_csv, reconciliation_csv
from metering.exports.reconciliation_html import reconciliation_html
from metering.exports.reconciliation_json import decision_json, explanation_json, variance_json
from metering.operations.accounts.manage_accounts import show_account_by_id
from metering.operations.reconciliation.explain_variance import explain_variance
from metering.operations.reconciliation.export_evidence import export_evidence, export_requests
from metering.operations.reconciliation.reconcile import show_reconciliation
from metering.operations.reconciliation.resolve_variance import resolve_variance
from pricing.dollars import display_nano

_SHOWN = 10
_KINDS = {"": "csv", ".csv": "csv", ".html": "html", ".htm": "html"}


class ExportFailedError(DomainError):
    """The file could not be written."""

    code = "export_failed"


@click.command()
@click.argument("variance", type=click.IntRange(min=1))
@click.option("--limit", default=_SHOWN, show_default=True, type=click.IntRange(0, 1_000), help="How much evidence to show.")
@json_option
@click.pass_obj
def explain(invocation: Invocation, *, variance: int, limit: int, as_json: bool) -> None:
    """Show what VARIANCE is about: its cause and how that is known, what else fits, the evidence, and what was decided."""
    with open_session(invocation) as service:
        found = explain_variance(service.engine, variance, limit=limit)
    if as_json:
        print_json(explanation_json(found))
        return
    show_variance_words(found.variance)
    if found.price:
        echo(f"That price: {found.price}")
    if found.evidence:
        echo()
        _show_evidence(found)
        if found.variance.items > len(found.evidence):
            echo(f"... of {found.variance.items:,}: {_all_of(found)}")
    if found.requests:
        echo()
        about = "might explain it" if found.variance.cause == Cause.UNEXPLAINED else "are what it is about"
        echo(f"{counted(found.requests_in_all, 'request')} of ours {about}:")
        _show_requests(found)
        if found.requests_in_all > len(found.requests):
            echo(f"... of {found.requests_in_all:,}: {_all_of(found)}")
    echo()
    _show_decisions(found.decisions)


@click.command()
@click.argument("variance", type=click.IntRange(min=1))
@click.option(
    "--as", "state", required=True, type=click.Choice([str(state) for state in VarianceState]), help="What is decided."
)
@click.option("--who", required=True, help="Who decides.")
@click.option("--reason", required=True, help="Why; it stays with the variance.")
@click.option("--correct", is_flag=True, help="With accepted: write their difference to the account's month as a correction.")
@json_option
@click.pass_obj
def resolve(invocation: Invocation, *, variance: int, state: str, who: str, reason: str, correct: bool, as_json: bool) -> None:
    """Decide on VARIANCE: explained, accepted, disputed, resolved, or open again.

    A decision holds in later runs while the cause comes to the same amount; where it does not, the variance is open again.
    """
    with open_session(invocation) as service:
        found = resolve_variance(service.engine, variance, state, who=who, reason=reason, correct=correct, now=service.clock())
    if as_json:
        print_json({**variance_json(found.variance), "decisions": [decision_json(each) for each in found.decisions]})
        return
    echo(f"variance {variance} is {state} ({sanitize(who)}: {sanitize(reason)})")
    if correct:
        echo(
            f"statements are corrected by {display_nano(found.variance.corrected_nano)} USD in all: {found.variance.adjustment}"
        )
    if state == VarianceState.DISPUTED:
        echo(f"`metering reconcile export {found.run.id} --variance {variance} --output evidence.csv` is what to send them")


@click.command()
@click.argument("number", metavar="RUN", type=click.IntRange(min=1))
@click.option("--as", "kind", type=click.Choice(["html", "csv"]), help="A report as HTML or CSV; by --output if left out.")
@click.option("--variance", type=click.IntRange(min=1), help="The evidence of this variance, as CSV.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to a file instead of stdout.")
@click.pass_obj
def export(invocation: Invocation, *, number: int, kind: str | None, variance: int | None, output: Path | None) -> None:
    """Export what RUN found: a report with the bridge (HTML, CSV), or the evidence of one variance (CSV), line by line."""
    kind = kind or _kind_of(output)
    if variance is not None and kind == "html":
        raise click.UsageError("evidence is written as CSV")
    with open_session(invocation) as service:
        report = show_reconciliation(service.engine, number)
        if variance is not None:
            if variance not in {each.id for each in report.variances}:
                raise click.UsageError(f"run {number} found no variance {variance}")
            evidence = chain(export_evidence(service.engine, variance), export_requests(service.engine, variance))
            _write(evidence_csv(evidence), output)
        elif kind == "html":
            account = show_account_by_id(service.engine, report.run.account_id)
            _write([reconciliation_html(report, account.name if account else "", made_at=service.clock())], output)
        else:
            _write([reconciliation_csv(report)], output)
    if output is not None:
        warn(f"wrote {sanitize(str(output))}")


def _kind_of(output: Path | None) -> str:
    """Return the form that a file's name asks for; CSV where it asks for none."""
    suffix = "" if output is None else output.suffix.lower()
    if suffix not in _KINDS:
        raise click.UsageError(f"{suffix} is no form of a report: write .html or .csv, or say which with --as")
    return _KINDS[suffix]


def _write(parts: Iterable[str], output: Path | None) -> None:
    if output is None:
        for part in parts:
            click.echo(part.encode(), nl=False)
        return
    try:
        with output.open("wb") as target:
            target.writelines(_encoded(parts))
    except OSError as error:
        raise ExportFailedError(f"{output}: {error.strerror or error}") from None


def _encoded(parts: Iterable[str]) -> Iterator[bytes]:
    return (part.encode() for part in parts)


def _all_of(found: VarianceExplanation) -> str:
    return f"`metering reconcile export {found.run.id} --variance {found.variance.id}` has all"


def _show_evidence(found: VarianceExplanation) -> None:
    columns = [Column("request", "name"), Column("time", "time"), Column("line", "count"), Column("about", "name")]
    rows: list[list[Cell]] = [[*_when(each), each.line, _about(each, found.variance)] for each in found.evidence]
    _show(columns, rows, found.evidence, ("ours", "theirs", "difference"))


def _show_requests(found: VarianceExplanation) -> None:
    columns = [Column("request", "name"), Column("time", "time"), Column("about", "name"), Column("if", "name")]
    several = len({each.explanation for each in found.requests}) > 1
    rows: list[list[Cell]] = [
        [*_when(each), _about(each, found.variance), describe_explanation(each.explanation) if several else ""]
        for each in found.requests
    ]
    _show(columns, rows, found.requests, ("ours", "explains"))


def _when(each: Evidence) -> list[Cell]:
    """Return the request and its time; of a sum, the day that it is about."""
    time = "" if each.event_time is None else format_instant(each.event_time)[:19].replace("T", " ")
    return [each.event_id or each.request_id, time or describe_day(each.day)]


def _about(each: Evidence, variance: Variance) -> str:
    """Say what a difference is about; nothing where the variance says the same."""
    told = (each.model, each.provider, each.session)
    return "" if told == (variance.model, variance.provider, variance.session) else describe_location(*told)


def _show(columns: list[Column], rows: list[list[Cell]], evidence: Sequence[Evidence], amounts: tuple[str, ...]) -> None:
    """Print evidence with its amounts; what no row tells has no column."""
    said = {"ours": "ours_nano", "theirs": "theirs_nano", "difference": "amount_nano", "explains": "amount_nano"}
    columns = [*columns, *(Column(name, "money") for name in amounts)]
    for row, each in zip(rows, evidence, strict=True):
        nanos = (getattr(each, said[name]) for name in amounts)
        row += ["" if nano is None else display_nano(nano) for nano in nanos]
    kept = [at for at in range(len(columns)) if any(row[at] not in ("", None) for row in rows)]
    print_table([columns[at] for at in kept], [[row[at] for at in kept] for row in rows])


def _show_decisions(decisions: Iterable[Decision]) -> None:
    print_table(
        [Column("decided", "time"), Column("state"), Column("by", "name"), Column("why", "name"), Column("correction", "name")],
        [
            [format_instant(each.decided_at)[:19].replace("T", " "), each.state, each.who, each.reason, each.adjustment]
            for each in decisions
        ],
    )
