"""``metering explain``: why an event costs what it costs, on one screen."""

from fractions import Fraction

import click

from metering.answers.charges.explanations import (
    AppliedRateAnswer,
    ChargeExplanationAnswer,
    ChargeHistoryEntryAnswer,
    charge_explanation_answer,
)
from metering.answers.usage.events import LoggedEventAnswer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.amounts import UNKNOWN_AMOUNT
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.charges.quoted_prices import format_price
from metering.domain.statements.statements import described
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.explain_charge import explain_charge
from pricing.dollars import display_nano, display_pico
from pricing.money import PICO_PER_NANO

_LAYERS = {"account": "the account's own", "operator": "your own", "route": "the route's", "bundled": "bundled"}
_WITHOUT_RATE = {
    "reported": "No price is known; this is the cost that the provider reported.",
    "exempt": "The request failed and costs nothing.",
    "gateway_cache": "A gateway answered from its own cache; nothing was bought from the provider.",
}
_NO_STATUS = "The request has no status and no output; it costs nothing."


@click.command()
@click.argument("event", metavar="EVENT_ID")
@click.option("--account", required=True, metavar="NAME", help="The event's account.")
@click.option("--source", metavar="NAME", help="The event's source. Required if several sources have an event with this ID.")
@json_option
@click.pass_obj
def explain(invocation: Invocation, *, event: str, account: str, source: str | None, as_json: bool) -> None:
    """Explain the charge of an event: quantities, price and its source, every multiplication, rounding, and history."""
    with open_session(invocation) as service:
        row = show_account(service.engine, account)
        found = charge_explanation_answer(explain_charge(service.engine, row.id, event, source), row.name)
    if as_json:
        print_json(found)
        return
    _print_event(found.event)
    if found.price is not None and found.sum_pico_usd is not None and found.rounding_pico_usd is not None:
        _print_price(found.price)
        _print_parts(found, Fraction(found.sum_pico_usd), Fraction(found.rounding_pico_usd))
    elif found.event.price_grade == "unpriced":
        echo(f"Unpriced: {sanitize(found.missing)}.")
    else:
        unstated = found.event.price_grade == "exempt" and found.event.status is None and not found.event.failure
        reason = _NO_STATUS if unstated else _WITHOUT_RATE.get(found.event.price_grade, "")
        echo(f"${display_nano(found.event.charge_nano_usd or 0)}. {reason}")
    echo()
    _print_history(found.history)


def _print_event(event: LoggedEventAnswer) -> None:
    title = f"{sanitize(event.id)} from source {sanitize(event.source)}, billed to {sanitize(event.account)}"
    echo(title, style="bold")
    status = "no status" if event.status is None else f"status {event.status}"
    status += f", error {sanitize(event.failure)}" if event.failure else ""
    request = f"{event.operation} of {event.model} at {event.provider}, {event.route}, {status}"
    echo(f"{event.time}{' (derived)' if event.time_derived else ''}  {sanitize(request)}")
    used = ", ".join(f"{described(kind)} {count:,}" for kind, count in event.quantities.items()) or "no quantities"
    reason = f": {sanitize(event.estimate_reason)}" if event.estimate_reason else ""
    echo(f"{used} ({event.quantity_grade}{reason})")
    echo()


def _print_price(price: AppliedRateAnswer) -> None:
    route = f", for {price.route} only" if price.route else ""
    context = f", from {price.context_from:,} prompt tokens" if price.context_from else ""
    echo(
        f"Price: version {price.table_id} of {sanitize(price.source)} ({_LAYERS[price.layer]}{route}),"
        f" rate {price.rate_id}{context}"
    )
    echo(f"effective from {_to_seconds(price.effective_from)}, recorded {_to_seconds(price.recorded_at)}")
    if price.provenance:
        echo(f"read from {sanitize(price.provenance)}")
    echo()


def _print_parts(found: ChargeExplanationAnswer, sum_pico: Fraction, rounding_pico: Fraction) -> None:
    parts = found.multiplications
    rows: list[list[Cell]] = [
        [
            described(part.kind),
            part.quantity,
            "x",
            format_price(part.kind, part.price_pico_usd, part.per) + (" (the input price)" if part.assumed else ""),
            "=",
            _exact(Fraction(part.amount_pico_usd)),
        ]
        for part in parts
    ]
    columns = [Column("", "name"), Column("used", "count"), Column(""), Column("price", "name"), Column("")]
    rows.append(["rounded up to nano-USD", "", "", "", "+", _exact(rounding_pico)])
    charge_nano = int((sum_pico + rounding_pico) / PICO_PER_NANO)
    print_table([*columns, Column("USD", "money")], rows, totals=["charge", "", "", "", "=", display_nano(charge_nano)])
    if any(part.assumed for part in parts):
        echo("No cache price is published; cached tokens are charged at the input price.")


def _print_history(history: list[ChargeHistoryEntryAnswer]) -> None:
    columns = [Column("history"), Column("USD", "money"), Column("grade", "name"), Column("price list", "name")]
    print_table(
        [*columns, Column("billed in"), Column("recorded"), Column("run"), Column("reason", "name")],
        [
            [
                entry.entry,
                UNKNOWN_AMOUNT if entry.amount_nano_usd is None else display_nano(entry.amount_nano_usd),
                entry.price_grade,
                "" if entry.table_id is None else f"{entry.table_source} v{entry.table_id}",
                entry.billing_month,
                _to_seconds(entry.recorded_at),
                "" if entry.run_id is None else str(entry.run_id),
                entry.reason,
            ]
            for entry in history
        ],
    )


def _to_seconds(instant: str) -> str:
    return f"{instant[:19]}Z"


def _exact(amount_pico: Fraction) -> str:
    whole, rest = divmod(amount_pico, 1)
    return display_pico(int(whole)) + (f" + {rest} pico" if rest else "")
