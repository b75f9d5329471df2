"""``metering prices explain``: why a request has its price."""

import click
from msgspec import Struct

from metering.answers.prices.price_explanations import price_explanation_answer
from metering.cli.arguments import INSTANT, collected, json_option, known_at_option
from metering.cli.invocation import Invocation
from metering.cli.prices.explanation_text import name_in_words, outcome_in_words, reason_in_words, request_in_words
from metering.cli.prices.price_text import owner, rate_in_words, since
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.domain.charges.quoted_prices import format_price
from metering.domain.prices.price_explanations import PriceExplanation, StatedRequest
from metering.domain.statements.statements import described
from metering.domain.usage.events import ROUTES, UNKNOWN
from metering.operations.prices.explain_price import explain_price
from pricing.explain import RateExplanation
from pricing.precedence import ListQuote
from pricing.rates import Rate, assumed_cache_prices


class ExplainOptions(Struct, frozen=True, kw_only=True):
    """The options of the command."""

    model: str
    provider: str
    at: int | None
    known_at: int | None
    route: str | None
    account: str | None
    operation: str
    context_tokens: int
    as_json: bool


@click.command()
@click.argument("model")
@click.option(
    "--provider", default=UNKNOWN, help="The provider that served the request. A suffix of MODEL can state it instead."
)
@click.option("--at", type=INSTANT, help="When the request started. Default: now.")
@known_at_option
@click.option("--route", type=click.Choice(ROUTES), help="The billing route. Default: the account's setting.")
@click.option("--account", metavar="NAME", help="The account that sent the request.")
@click.option("--operation", default="chat", show_default=True, help="The operation.")
@click.option(
    "--context-tokens",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="The size of the prompt in tokens, cached tokens included.",
)
@json_option
@click.pass_obj
@collected(ExplainOptions)
def explain(invocation: Invocation, options: ExplainOptions) -> None:
    """Explain step by step which price a request to MODEL has, or why it has none.

    \b
    metering prices explain meta-llama/Llama-3.3-70B-Instruct-Turbo --provider together --at 2026-11-03
    """
    with open_session(invocation) as service:
        request = StatedRequest(
            model=options.model,
            at=service.clock() if options.at is None else options.at,
            provider=options.provider,
            route=options.route or "",
            account=options.account,
            operation=options.operation,
            context_tokens=options.context_tokens,
            known_at=options.known_at,
        )
        found = explain_price(service.engine, request)
    if options.as_json:
        print_json(price_explanation_answer(found))
    else:
        _print_explanation(found)


def _print_explanation(found: PriceExplanation) -> None:
    explanation = found.explanation
    for line in request_in_words(found):
        echo(line)
    if explanation.quotes:
        echo()
        account = "" if found.account is None else found.account.name
        columns = [Column("layer"), Column("list", "name"), Column("name in list", "name"), Column("price", "name")]
        print_table(
            [*columns, Column("version", "count"), Column("applies", "name")],
            [_row(quote, explanation, account) for quote in explanation.quotes],
        )
    echo()
    echo(reason_in_words(explanation), style="bold")
    if explanation.rate is not None:
        _print_rate(explanation, explanation.rate)


def _row(quote: ListQuote, explanation: RateExplanation, account: str) -> list[Cell]:
    price_list, entry = quote.lookup.price_list, quote.entry
    if entry is not None:
        rate = (
            explanation.rate if entry.tiers == tuple(reversed(explanation.tiers)) else entry.tiers[-1] if entry.tiers else None
        )
        price = f"{since(entry.effective_from)}: {'none' if rate is None else rate_in_words(rate)}"
    else:
        start = quote.lookup.next_start(explanation.query.instant)
        price = "" if start is None else f"a price from {since(start)} on"
    return [
        owner(price_list.layer, account),
        price_list.source,
        name_in_words(quote.lookup.name),
        price,
        None if entry is None else entry.table.id,
        outcome_in_words(quote.outcome),
    ]


def _print_rate(explanation: RateExplanation, rate: Rate) -> None:
    winner = explanation.winner
    if winner is not None and winner.entry is not None:
        table = winner.entry.table
        route = table.route or "any"
        echo(
            f"rate {rate.id} of version {table.id} of {table.source}: {rate.model} at {rate.provider}, route {route},"
            f" since {since(table.effective_from)}, recorded {since(table.recorded_at)}"
        )
    if len(explanation.tiers) > 1:
        sizes = ", ".join(f"{each.context_from:,}" for each in explanation.tiers)
        prompt = f"{explanation.query.context_tokens:,} tokens"
        echo(f"a prompt of {prompt} is priced at the tier from {rate.context_from:,} (tiers from {sizes})")
    for kind, price in rate.prices.items():
        echo(f"  {described(kind)}: {format_price(kind, price.pico, price.block)}")
    if assumed := assumed_cache_prices(rate.prices):
        echo(f"  {', '.join(described(kind) for kind in assumed)}: not published, charged at the input price")
    echo(f"read from: {rate.source or 'not stated'}")
