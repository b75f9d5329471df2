"""``metering explain``: why a request costs what it costs, on one screen."""

from fractions import Fraction

import click

from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.amounts import UNKNOWN_AMOUNT
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.amounts import money
from metering.domain.charges.quoted_prices import format_price
from metering.domain.instants import format_instant, format_month
from metering.domain.statements.statements import described, unit_of
from metering.domain.usage.events import PriceGrade, QuantityGrade
from metering.domain.usage.logged_events import LoggedEvent
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.explain_charge import ChargeExplanation, ChargeHistoryEntry, entry_name, explain_charge
from metering.storage.prices.price_versions import TableVersion
from pricing.breakdown import Breakdown, ChargePart
from pricing.dollars import display_nano, display_pico, format_pico
from pricing.quantities import ALL_KINDS
from pricing.rates import Rate
from pricing.tables import Layer

_LAYERS = {
    Layer.ACCOUNT: "the account's own",
    Layer.OPERATOR: "your own",
    Layer.ROUTE: "the route's",
    Layer.BUNDLED: "bundled",
}
_WITHOUT_RATE = {
    PriceGrade.REPORTED: "No price is known; the provider stated this cost.",
    PriceGrade.EXEMPT: "The request failed: nothing is owed.",
}
_NO_STATUS = "Nobody stated a status, and nothing came back: nothing is owed."


@click.command()
@click.argument("event", metavar="EVENT_ID")
@click.option("--account", required=True, metavar="NAME", help="Who is billed.")
@click.option("--source", metavar="NAME", help="Who recorded it; needed where several sources have an event with the id.")
@json_option
@click.pass_obj
def explain(invocation: Invocation, *, event: str, account: str, source: str | None, as_json: bool) -> None:
    """Explain what a request costs: quantities, price and who says so, every multiplication, the rounding, the history."""
    with open_session(invocation) as service:
        billed = show_account(service.engine, account)
        found = explain_charge(service.engine, billed.id, event, source)
    if as_json:
        print_json(_json(found, billed.name))
        return
    _print_event(found.event, billed.name)
    if found.rate is not None and found.version is not None and found.breakdown is not None:
        _print_price(found.rate, found.version)
        _print_parts(found.breakdown)
    elif found.event.price_grade is PriceGrade.UNPRICED:
        echo(f"It is not charged yet: {sanitize(found.missing)}.")
    else:
        unanswered = found.event.price_grade is PriceGrade.EXEMPT and found.event.status is None
        why = _NO_STATUS if unanswered else _WITHOUT_RATE.get(found.event.price_grade, "")
        echo(f"${display_nano(found.event.charge_nano or 0)}. {why}")
    echo()
    _print_history(found.history)


def _print_event(event: LoggedEvent, account: str) -> None:
    echo(f"{sanitize(event.id)} of {sanitize(event.source)}, billed to {sanitize(account)}", style="bold")
    status = "no status" if event.status is None else f"status {event.status}"
    asked = f"{event.operation} of {event.model} at {event.provider}, {event.route}, {status}"
    echo(f"{format_instant(event.position.event_time)}{' (derived)' if event.time_derived else ''}  {sanitize(asked)}")
    used = ", ".join(f"{described(kind)} {count:,}" for kind, count in _used(event).items()) or "nothing was counted"
    why = f": {sanitize(event.estimate_reason)}" if event.estimate_reason else ""
    echo(f"{used} ({event.quantity_grade.name.lower()}{why})")
    echo()


def _print_price(rate: Rate, version: TableVersion) -> None:
    of_route = f", for {version.route} only" if version.route else ""
    context = f", from {rate.context_from:,} prompt tokens" if rate.context_from else ""
    echo(
        f"Price: version {version.id} of {sanitize(version.source)} ({_LAYERS[version.layer]}{of_route}),"
        f" rate {rate.id}{context}"
    )
    echo(f"valid from {_short(version.effective_from)}, recorded {_short(version.recorded_at)}")
    if rate.source:
        echo(f"read from {sanitize(rate.source)}")
    echo()


def _print_parts(breakdown: Breakdown) -> None:
    rows: list[list[Cell]] = [
        [
            described(part.kind),
            part.quantity,
            "x",
            format_price(part.kind, part.price.pico, part.price.block) + (" (the input price)" if part.assumed else ""),
            "=",
            _exact(part.amount_pico),
        ]
        for part in breakdown.parts
    ]
    columns = [Column("", "name"), Column("used", "count"), Column(""), Column("price", "name"), Column("")]
    rows.append(["rounded up to a nano-dollar", "", "", "", "+", _exact(breakdown.rounding_pico)])
    print_table(
        [*columns, Column("USD", "money")], rows, totals=["charge", "", "", "", "=", display_nano(breakdown.amount_nano)]
    )
    if any(part.assumed for part in breakdown.parts):
        echo("No cache price is published: cached tokens are charged at the input price.")


def _print_history(history: list[ChargeHistoryEntry]) -> None:
    columns = [Column("history"), Column("USD", "money"), Column("how", "name"), Column("price list", "name")]
    print_table(
        [*columns, Column("billed in"), Column("recorded"), Column("run"), Column("reason", "name")],
        [
            [
                entry_name(entry),
                UNKNOWN_AMOUNT if entry.amount_nano is None else display_nano(entry.amount_nano),
                entry.price_grade.name.lower(),
                "" if entry.version is None else f"{entry.version.source} v{entry.version.id}",
                format_month(entry.billing_month),
                _short(entry.recorded_at),
                "" if entry.run_id is None else str(entry.run_id),
                entry.reason,
            ]
            for entry in history
        ],
    )


def _short(instant: int) -> str:
    return format_instant(instant)[:19] + "Z"


def _exact(amount_pico: Fraction) -> str:
    whole, rest = divmod(amount_pico, 1)
    return display_pico(int(whole)) + (f" + {rest} pico" if rest else "")


def _used(event: LoggedEvent) -> dict[str, int]:
    return {kind: count for kind in ALL_KINDS if (count := getattr(event.quantities, kind))}


def _json(found: ChargeExplanation, account: str) -> dict[str, object]:
    breakdown = found.breakdown
    return {
        "event": _event_json(found.event, account),
        "price": None if found.rate is None or found.version is None else _price_json(found.rate, found.version, account),
        "multiplications": [] if breakdown is None else [_part_json(part) for part in breakdown.parts],
        "sum_pico_usd": None if breakdown is None else str(breakdown.sum_pico),
        "rounding_pico_usd": None if breakdown is None else str(breakdown.rounding_pico),
        "missing": found.missing,
        "history": [_entry_json(entry) for entry in found.history],
    }


def _event_json(event: LoggedEvent, account: str) -> dict[str, object]:
    same = ("id", "source", "provider", "model", "operation", "route", "project", "key", "status", "estimate_reason",
            "rate_id", "price_source", "cache_price_assumed", "billable")  # fmt: skip
    return {
        **{name: getattr(event, name) for name in same},
        "account": account,
        "time": format_instant(event.position.event_time),
        "received_at": format_instant(event.received_at),
        "quantities": _used(event),
        "quantity_grade": QuantityGrade(event.quantity_grade).name.lower(),
        **money("charge", event.charge_nano),
        "price_grade": event.price_grade.name.lower(),
        "billing_month": format_month(event.billing_month),
        **money("reported_cost", event.reported_cost_nano),
    }


def _price_json(rate: Rate, version: TableVersion, account: str) -> dict[str, object]:
    return {
        "rate_id": rate.id,
        "operation": rate.operation,
        "context_from": rate.context_from,
        "provenance": rate.source,
        "table_id": version.id,
        "source": version.source,
        "layer": version.layer.name.lower(),
        "route": version.route,
        "account": None if version.account_id is None else account,
        "effective_from": format_instant(version.effective_from),
        "recorded_at": format_instant(version.recorded_at),
        "digest": version.digest,
    }


def _part_json(part: ChargePart) -> dict[str, object]:
    return {
        "kind": part.kind,
        "quantity": part.quantity,
        "price_pico_usd": part.price.pico,
        "price_usd": format_pico(part.price.pico),
        "per": part.price.block,
        "unit": unit_of(part.kind),
        "assumed": part.assumed,
        "amount_pico_usd": str(part.amount_pico),
    }


def _entry_json(entry: ChargeHistoryEntry) -> dict[str, object]:
    return {
        "entry": entry_name(entry),
        **money("amount", entry.amount_nano),
        "price_grade": entry.price_grade.name.lower(),
        "rate_id": entry.rate_id,
        "table_id": None if entry.version is None else entry.version.id,
        "table_source": None if entry.version is None else entry.version.source,
        "billing_month": format_month(entry.billing_month),
        "recorded_at": format_instant(entry.recorded_at),
        "reason": entry.reason,
        "run_id": entry.run_id,
    }
