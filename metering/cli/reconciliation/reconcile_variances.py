"""``metering reconcile explain`` and ``resolve``: work through the variances of a reconciliation."""

from collections.abc import Iterable, Sequence

import click

from metering.answers.reconciliation.variances import explained_variance_answer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.reconciliation.reads_option import reads_option
from metering.cli.reconciliation.reconciliation_table import show_variance
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import format_instant
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.descriptions import describe_day, describe_explanation, describe_location
from metering.domain.reconciliation.readings import TotalReading
from metering.domain.reconciliation.records import Decision, Evidence, Variance, VarianceExplanation
from metering.domain.reconciliation.variances import VarianceState, check_decision
from metering.operations.reconciliation.explain_variance import DEFAULT_EVIDENCE, MAX_EVIDENCE, explain_variance
from metering.operations.reconciliation.read_total import choose_reading
from metering.operations.reconciliation.resolve_variance import resolve_variance
from pricing.dollars import display_nano

_ROWS = 10


@click.command()
@click.argument("variance", type=click.IntRange(min=1))
@click.option(
    "--limit",
    type=click.IntRange(0, MAX_EVIDENCE),
    help=f"Maximum number of items, and of requests. Default: {_ROWS}, with --json {DEFAULT_EVIDENCE}.",
)
@json_option
@click.pass_obj
def explain(invocation: Invocation, *, variance: int, limit: int | None, as_json: bool) -> None:
    """Show VARIANCE: its cause and basis, other explanations that fit, its evidence, and the decisions on it."""
    if limit is None:
        limit = DEFAULT_EVIDENCE if as_json else _ROWS
    with open_session(invocation) as service:
        explanation = explain_variance(service.engine, variance, limit=limit)
    if as_json:
        print_json(explained_variance_answer(explanation))
        return
    show_variance(explanation.history.variance)
    if explanation.price:
        echo(f"That price: {explanation.price}")
    _show_evidence(explanation)
    _show_requests(explanation)
    echo()
    _show_decisions(explanation.history.decisions)


@click.command()
@click.argument("variance", type=click.IntRange(min=1))
@click.option("--as", "state", required=True, type=click.Choice([str(state) for state in VarianceState]), help="The new state.")
@click.option("--who", required=True, help="Who decides.")
@click.option("--reason", required=True, help="The reason; it is recorded with the variance.")
@click.option(
    "--correct", is_flag=True, help="With accepted: adjust the account's statement by the amount that is not corrected yet."
)
@reads_option("If the newest run compared it with the other, a new run is made and its variance is decided on.")
@json_option
@click.pass_obj
def resolve(
    invocation: Invocation,
    *,
    variance: int,
    state: str,
    who: str,
    reason: str,
    correct: bool,
    reads: str | None,
    as_json: bool,
) -> None:
    """Decide on VARIANCE: explained, accepted, disputed, resolved, or open again.

    A decision carries over to later runs while the cause has the same amount; otherwise the variance is open again. Correcting
    by a pasted total takes --reads: what the total adds up decides what our total is brought to.
    """
    check_decision(state, who, reason)
    with open_session(invocation) as service:
        now, settings = service.clock(), service.settings.reconcile
        if reads is not None:
            reading = TotalReading(reads)
            variance = choose_reading(service.engine, variance, reading, service.catalog, settings=settings, now=now)
        found = resolve_variance(service.engine, variance, state, who=who, reason=reason, correct=correct, now=now)
        if as_json:
            print_json(explained_variance_answer(explain_variance(service.engine, variance)))
            return
    echo(f"variance {variance} is {state} ({sanitize(who)}: {sanitize(reason)})")
    if correct:
        corrected = display_nano(found.variance.corrected_nano)
        echo(f"statements are corrected by {corrected} USD in all: {found.variance.adjustment}")
    if state == VarianceState.DISPUTED:
        echo(f"export the evidence: `metering reconcile export {found.run.id} --variance {variance} --output evidence.csv`")


def _show_evidence(explanation: VarianceExplanation) -> None:
    evidence, variance = explanation.evidence, explanation.history.variance
    if not evidence:
        return
    echo()
    columns = [Column("request", "name"), Column("time", "time"), Column("line", "count"), Column("about", "name")]
    rows: list[list[Cell]] = [[*_request(each), each.line, _about(each, variance)] for each in evidence]
    _print_evidence(columns, rows, evidence, ("metered", "billed", "difference"))
    if variance.items > len(evidence):
        echo(f"... of {variance.items:,}: {_export_hint(explanation)}")


def _show_requests(explanation: VarianceExplanation) -> None:
    requests, variance = explanation.requests, explanation.history.variance
    if not requests:
        return
    echo()
    explain_it = "could explain it" if variance.cause == Cause.UNEXPLAINED else "explain it"
    echo(f"{counted(explanation.requests_in_all, 'metered request')} {explain_it}:")
    columns = [Column("request", "name"), Column("time", "time"), Column("about", "name"), Column("if", "name")]
    several = len({each.explanation for each in requests}) > 1
    rows: list[list[Cell]] = [
        [*_request(each), _about(each, variance), describe_explanation(each.explanation) if several else ""]
        for each in requests
    ]
    _print_evidence(columns, rows, requests, ("metered", "explains"))
    if explanation.requests_in_all > len(requests):
        echo(f"... of {explanation.requests_in_all:,}: {_export_hint(explanation)}")


def _export_hint(explanation: VarianceExplanation) -> str:
    history = explanation.history
    return f"`metering reconcile export {history.run.id} --variance {history.variance.id}` exports all"


def _request(each: Evidence) -> list[Cell]:
    """Return the request and its time; for a sum, the day it is about."""
    time = "" if each.event_time is None else format_instant(each.event_time)[:19].replace("T", " ")
    return [each.event_id or each.request_id, time or describe_day(each.day)]


def _about(each: Evidence, variance: Variance) -> str:
    """Return the location of a difference; empty if it is that of the variance."""
    location = (each.model, each.provider, each.session)
    is_same = location == (variance.model, variance.provider, variance.session)
    return "" if is_same else describe_location(*location)


def _print_evidence(
    columns: list[Column], rows: list[list[Cell]], evidence: Sequence[Evidence], amounts: tuple[str, ...]
) -> None:
    """Print evidence with its amounts, without empty columns."""
    columns = [*columns, *(Column(name, "money") for name in amounts)]
    for row, each in zip(rows, evidence, strict=True):
        nanos = {
            "metered": each.ours_nano,
            "billed": each.theirs_nano,
            "difference": each.amount_nano,
            "explains": each.amount_nano,
        }
        row += ["" if (nano := nanos[name]) is None else display_nano(nano) for name in amounts]
    kept = [at for at in range(len(columns)) if any(row[at] not in ("", None) for row in rows)]
    print_table([columns[at] for at in kept], [[row[at] for at in kept] for row in rows])


def _show_decisions(decisions: Iterable[Decision]) -> None:
    columns = [Column("decided", "time"), Column("state"), Column("by", "name"), Column("reason", "name")]
    print_table(
        [*columns, Column("correction", "name")],
        [
            [format_instant(each.decided_at)[:19].replace("T", " "), each.state, each.who, each.reason, each.adjustment]
            for each in decisions
        ],
    )
