"""``metering webhooks deliveries``, ``redeliver`` and ``test``: the log of an endpoint, sending again, and tests."""

from collections.abc import Sequence
from typing import NamedTuple

import click

from metering.answers.alerts.webhook_deliveries import DeliveryAnswer, DeliveryPage, delivery_answer, redelivery_answer
from metering.cli.arguments import collected, end_option, json_option, separated, start_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.alerts.webhook_deliveries import DELIVERED, REDELIVERABLE, STATUSES, DeliveryQuery
from metering.operations.alerts.list_deliveries import list_deliveries
from metering.operations.alerts.redeliver import redeliver as send_again
from metering.operations.alerts.redeliver import redeliver_one
from metering.operations.alerts.send_test_message import SendSettings, send_test

LISTED = 20

_NOT_DELIVERED = 1
_ID = click.IntRange(1, 2**63 - 1)
_START = "Only deliveries created at or after this time."
_END = "Only deliveries created before this time."


class _DeliveryOptions(NamedTuple):
    query: DeliveryQuery
    limit: int
    before: int | None
    as_json: bool


def _delivery_options(
    *,
    webhook: int,
    statuses: tuple[str, ...],
    type_: str | None,
    start: int | None,
    end: int | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> _DeliveryOptions:
    return _DeliveryOptions(DeliveryQuery(webhook, tuple(separated(statuses)), type_, start, end), limit, before, as_json)


@click.command()
@click.argument("webhook", type=_ID)
@click.option(
    "--status", "statuses", multiple=True, metavar="|".join(STATUSES), help="Only this status; repeat, or separate by commas."
)
@click.option("--type", "type_", metavar="TYPE", help="Only alerts of this type.")
@start_option(_START)
@end_option(_END)
@click.option(
    "--limit",
    default=LISTED,
    show_default=True,
    type=click.IntRange(1, 1_000),
    help="Maximum number of deliveries to list, newest first.",
)
@click.option("--before", type=_ID, metavar="ID", help="Only deliveries older than the one with this id.")
@json_option
@click.pass_obj
@collected(_delivery_options)
def deliveries(invocation: Invocation, options: _DeliveryOptions) -> None:
    """List the deliveries to an endpoint, by its id, with their outcomes."""
    with open_session(invocation) as service:
        logs = list_deliveries(service.engine, options.query, before=options.before, limit=options.limit)
    page = DeliveryPage(items=[delivery_answer(each) for each in logs], next_cursor=None)
    if options.as_json:
        print_json(page)
    elif page.items:
        _print(page.items)
    else:
        echo("no matching deliveries")


@click.command()
@click.argument("webhook", type=_ID)
@click.argument("delivery", type=_ID, required=False)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    metavar="|".join(REDELIVERABLE),
    help="Only this status; repeat, or separate by commas. Default: failed and held.",
)
@start_option(_START)
@end_option(_END)
@json_option
@click.pass_obj
def redeliver(
    invocation: Invocation,
    *,
    webhook: int,
    delivery: int | None,
    statuses: tuple[str, ...],
    start: int | None,
    end: int | None,
    as_json: bool,
) -> None:
    """Send deliveries to an endpoint again: one, or all failed and held ones.

    WEBHOOK and DELIVERY are ids. The deliveries are queued with their webhook-id; `metering serve` sends them.
    """
    if delivery is not None and (statuses or start is not None or end is not None):
        raise click.UsageError("give either DELIVERY, or --status, --start and --end, not both")
    with open_session(invocation) as service:
        now = service.clock()
        if delivery is not None:
            result = redeliver_one(service.engine, webhook, delivery, now=now)
        else:
            query = DeliveryQuery(webhook, tuple(separated(statuses)), None, start, end)
            result = send_again(service.engine, query, now=now)
    if as_json:
        print_json(redelivery_answer(result))
        return
    queued = f"queued {counted(result.deliveries, 'delivery', 'deliveries')}"
    echo(f"{queued}; run the command again for the rest" if result.more else queued)


@click.command()
@click.argument("webhook", type=_ID)
@json_option
@click.pass_obj
def test(invocation: Invocation, *, webhook: int, as_json: bool) -> None:
    """Send a test message to an endpoint, by its id, and show the response.

    Exits with 1 if the message is not accepted; it is then retried like any delivery.
    """
    with open_session(invocation) as service:
        log = send_test(service.engine, webhook, SendSettings(service.settings.webhooks, service.clock))
    answer = delivery_answer(log)
    if as_json:
        print_json(answer)
    else:
        _print_test(answer)
    stop(0 if answer.status == DELIVERED else _NOT_DELIVERED)


def _print_test(delivery: DeliveryAnswer) -> None:
    (attempt,) = delivery.attempts
    if delivery.status == DELIVERED:
        echo(f"{delivery.webhook_id} was accepted: {attempt.status_code} after {attempt.latency_ms} ms")
    else:
        echo(f"{delivery.webhook_id} was not accepted: {sanitize(attempt.error_message)} ({attempt.error_code})")
    if attempt.answer:
        echo(f"response: {sanitize(attempt.answer.strip())}")


def _print(items: Sequence[DeliveryAnswer]) -> None:
    rows: list[list[Cell]] = []
    for each in items:
        last = each.attempts[-1] if each.attempts else None
        outcome = "" if last is None else str(last.status_code or last.error_code)
        rows.append(
            [
                each.id,
                each.type,
                _to_seconds(each.created_at),
                each.status,
                len(each.attempts),
                outcome,
                None if last is None else last.latency_ms,
                _to_seconds(each.next_attempt_at),
                each.webhook_id,
            ]
        )
    print_table(
        [Column("id", "count"), Column("alert", "code"), Column("created", "time"), Column("status"),
         Column("attempts", "count"), Column("last", "code"), Column("ms", "count"), Column("next", "time"),
         Column("webhook-id")],
        rows,
    )  # fmt: skip


def _to_seconds(instant: str | None) -> str:
    """Shorten an instant to seconds: ``2026-12-05 12:00:00Z``."""
    return "" if instant is None else f"{instant[:10]} {instant[11:19]}Z"
