"""``metering webhooks deliveries``, ``redeliver`` and ``test``: what was sent, sending it again, and whether it arrives."""

from typing import NamedTuple

import click

from metering.cli.alerts.webhook_json import delivery_json
from metering.cli.arguments import INSTANT, collected, json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.prices.price_text import since
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.alerts.webhook_deliveries import DELIVERED, FINISHED, STATUSES, DeliveryLog, DeliveryQuery
from metering.operations.alerts.list_deliveries import list_deliveries
from metering.operations.alerts.redeliver import redeliver as send_again
from metering.operations.alerts.redeliver import redeliver_one
from metering.operations.alerts.send_test_event import Sending, send_test

LISTED = 20

_NOT_DELIVERED = 1
_ID = click.IntRange(1, 2**63 - 1)


class _Listing(NamedTuple):
    question: DeliveryQuery
    limit: int
    before: int | None
    as_json: bool


def _listing(
    *,
    webhook: int,
    statuses: tuple[str, ...],
    type_: str | None,
    start: int | None,
    end: int | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> _Listing:
    return _Listing(DeliveryQuery(webhook, tuple(separated(statuses)), type_, start, end), limit, before, as_json)


@click.command()
@click.argument("webhook", type=_ID)
@click.option("--status", "statuses", multiple=True, metavar="|".join(STATUSES), help="Only deliveries in this state; repeat.")
@click.option("--type", "type_", metavar="TYPE", help="Only alerts of this type.")
@click.option("--start", type=INSTANT, help="Only what was written from then on.")
@click.option("--end", type=INSTANT, help="Only what was written before then.")
@click.option("--limit", default=LISTED, show_default=True, type=click.IntRange(1, 1_000), help="How many, the newest first.")
@click.option("--before", type=_ID, metavar="ID", help="Only deliveries that are older than this one.")
@json_option
@click.pass_obj
@collected(_listing)
def deliveries(invocation: Invocation, asked: _Listing) -> None:
    """List what was, and is to be, sent to the endpoint WEBHOOK, with what came of it."""
    with open_session(invocation) as service:
        found = list_deliveries(service.engine, asked.question, before=asked.before, limit=asked.limit)
    if asked.as_json:
        print_json({"deliveries": [delivery_json(each) for each in found]})
    elif found:
        _print(found)
    else:
        echo("there is no such delivery")


@click.command()
@click.argument("webhook", type=_ID)
@click.argument("delivery", type=_ID, required=False)
@click.option(
    "--status", "statuses", multiple=True, metavar="|".join(FINISHED), help="Which are sent again; failed and held ones."
)
@click.option("--start", type=INSTANT, help="Only what was written from then on.")
@click.option("--end", type=INSTANT, help="Only what was written before then.")
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
    """Send the endpoint WEBHOOK one DELIVERY again, or all that failed or were held.

    They keep their ids; `metering serve` sends them.
    """
    if delivery is not None and (statuses or start is not None or end is not None):
        raise click.UsageError("name one DELIVERY, or say which, not both")
    with open_session(invocation) as service:
        now = service.clock()
        if delivery is not None:
            done = redeliver_one(service.engine, webhook, delivery, now=now)
        else:
            question = DeliveryQuery(webhook, tuple(separated(statuses)), None, start, end)
            done = send_again(service.engine, question, now=now)
    if as_json:
        print_json({"deliveries": done.deliveries, "more": done.more})
        return
    echo(
        f"{done.deliveries} {'is' if done.deliveries == 1 else 'are'} sent again"
        + ("; ask again for more" if done.more else "")
    )


@click.command()
@click.argument("webhook", type=_ID)
@json_option
@click.pass_obj
def test(invocation: Invocation, *, webhook: int, as_json: bool) -> None:
    """Send the endpoint WEBHOOK a test now, and show what it answers.

    The exit code is 1 where it was not taken; it is then tried again like any delivery.
    """
    with open_session(invocation) as service:
        found = send_test(service.engine, webhook, Sending(service.settings.webhooks, service.clock))
    if as_json:
        print_json(delivery_json(found))
    else:
        _print_test(found)
    stop(0 if found.row.status == DELIVERED else _NOT_DELIVERED)


def _print_test(found: DeliveryLog) -> None:
    (attempt,) = found.attempts
    if found.row.status == DELIVERED:
        echo(f"{found.row.message} was taken: {attempt.status_code} after {attempt.latency_ms} ms")
    else:
        echo(f"{found.row.message} was not taken: {sanitize(attempt.error_message)} ({attempt.error_code})")
    if attempt.answer:
        echo(f"answer: {sanitize(attempt.answer.strip())}")


def _print(found: list[DeliveryLog]) -> None:
    rows: list[list[Cell]] = []
    for each in found:
        last = each.attempts[-1] if each.attempts else None
        came = "" if last is None else str(last.status_code or last.error_code)
        rows.append(
            [
                each.row.id,
                each.row.type,
                since(each.row.created_at),
                each.row.status,
                len(each.attempts),
                came,
                None if last is None else last.latency_ms,
                "" if each.row.due_at is None else since(each.row.due_at),
                each.row.message,
            ]
        )
    print_table(
        [Column("id", "count"), Column("alert", "code"), Column("written", "time"), Column("state"),
         Column("attempts", "count"), Column("last", "code"), Column("ms", "count"), Column("next", "time"),
         Column("webhook-id")],
        rows,
    )  # fmt: skip
