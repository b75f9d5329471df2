"""``metering prices explain``: why a request has the price it has."""

from typing import Any

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, collected, json_option, known_at_option
from metering.cli.invocation import Invocation
from metering.cli.prices.explanation_text import counts_in_words, known_as_in_words, reading_in_words, reason_in_words
from metering.cli.prices.price_json import known_at_json, tiers_json
from metering.cli.prices.price_text import rate_in_words, since, whose
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.domain.charges.quoted_prices import format_price
from metering.domain.instants import format_instant
from metering.domain.prices.price_explanations import PriceExplanation, StatedRequest
from metering.domain.statements.statements import described
from metering.domain.usage.events import ROUTES, UNKNOWN
from metering.operations.prices.explain_price import explain_price
from pricing.explain import Explanation
from pricing.precedence import ListQuote
from pricing.rates import Rate, assumed_cache_prices


class ExplainOptions(Struct, frozen=True, kw_only=True):
    """What is asked, and how it is shown."""

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
@click.option("--provider", default=UNKNOWN, help="Who served it; a suffix of MODEL may say so too.")
@click.option("--at", type=INSTANT, help="When the request started; now when nothing is said.")
@known_at_option
@click.option(
    "--route", type=click.Choice(ROUTES), help="How it was billed; when nothing is said, what the account's setting says."
)
@click.option("--account", metavar="NAME", help="Whose request it was.")
@click.option("--operation", default="chat", show_default=True, help="What was asked for.")
@click.option("--context-tokens", type=click.IntRange(0), default=0, help="The size of the prompt, cached tokens included.")
@json_option
@click.pass_obj
@collected(ExplainOptions)
def explain(invocation: Invocation, asked: ExplainOptions) -> None:
    """Explain which price a request to MODEL has, step by step, or why it has none.

    \b
    metering prices explain meta-llama/Llama-3.3-70B-Instruct-Turbo --provider together --at 2026-11-03
    """
    with open_session(invocation) as service:
        question = StatedRequest(
            model=asked.model,
            at=service.clock() if asked.at is None else asked.at,
            provider=asked.provider,
            route=asked.route or "",
            account=asked.account,
            operation=asked.operation,
            context_tokens=asked.context_tokens,
            known_at=asked.known_at,
        )
        found = explain_price(service.engine, question)
    if asked.as_json:
        print_json(_explained_json(found))
    else:
        _show(found)


def _show(found: PriceExplanation) -> None:
    explanation = found.explanation
    for line in reading_in_words(found):
        echo(line)
    if explanation.words:
        echo()
        account = "" if found.account is None else found.account.name
        columns = [Column("asked"), Column("list", "name"), Column("known as", "name"), Column("says", "name")]
        print_table(
            [*columns, Column("version", "count"), Column("counts", "name")],
            [_row(word, explanation, account) for word in explanation.words],
        )
    echo()
    echo(reason_in_words(explanation), style="bold")
    if explanation.rate is not None:
        _show_rate(explanation, explanation.rate)


def _row(word: ListQuote, explanation: Explanation, account: str) -> list[Cell]:
    source, step = word.asked.source, word.step
    if step is not None:
        rate = explanation.rate if step.tiers == tuple(reversed(explanation.tiers)) else step.tiers[-1] if step.tiers else None
        says = f"{since(step.effective_from)}: {'no price' if rate is None else rate_in_words(rate)}"
    else:
        starts = word.asked.next_start(explanation.question.instant)
        says = "" if starts is None else f"a price from {since(starts)} on"
    return [
        whose(source.layer, account),
        source.source,
        known_as_in_words(word.asked.name),
        says,
        None if step is None else step.table.id,
        counts_in_words(word.standing),
    ]


def _show_rate(explanation: Explanation, rate: Rate) -> None:
    winner = explanation.winner
    if winner is not None and winner.step is not None:
        table = winner.step.table
        route = table.route or "any"
        echo(
            f"rate {rate.id} of version {table.id} of {table.source}: {rate.model} at {rate.provider}, route {route},"
            f" since {since(table.effective_from)}, recorded {since(table.recorded_at)}"
        )
    if len(explanation.tiers) > 1:
        sizes = ", ".join(f"{each.context_from:,}" for each in explanation.tiers)
        prompt = f"{explanation.question.context_tokens:,} tokens"
        echo(f"a prompt of {prompt} is priced at the tier from {rate.context_from:,} (tiers from {sizes})")
    for kind, price in rate.prices.items():
        echo(f"  {described(kind)}: {format_price(kind, price.pico, price.block)}")
    if assumed := assumed_cache_prices(rate.prices):
        echo(f"  {', '.join(described(kind) for kind in assumed)}: not published, charged at the input price and marked")
    echo(f"read from: {rate.source or 'not said'}")


def _explained_json(found: PriceExplanation) -> dict[str, Any]:
    explanation = found.explanation
    question, rate, winner = explanation.question, explanation.rate, explanation.winner
    return {
        "asked": {"model": found.request.model, "provider": found.request.provider},
        "model": question.model,
        "provider": question.provider,
        "suffix": found.suffix,
        "operation": question.operation,
        "route": question.route,
        "route_from": found.route_from,
        "account": None if found.account is None else found.account.name,
        "context_tokens": question.context_tokens,
        "at": format_instant(question.instant),
        **known_at_json(found.request.known_at),
        "reason": str(explanation.reason),
        "elsewhere": list(explanation.elsewhere),
        "rate_id": None if rate is None else rate.id,
        "table_id": None if rate is None or winner is None or winner.step is None else winner.step.table.id,
        "tiers": tiers_json(explanation.tiers),
        "assumed_cache_prices": [] if rate is None else list(assumed_cache_prices(rate.prices)),
        "sources": [_word_json(word, question.instant) for word in explanation.words],
    }


def _word_json(word: ListQuote, instant: int) -> dict[str, Any]:
    source, name, step = word.asked.source, word.asked.name, word.step
    starts = word.asked.next_start(instant)
    return {
        "layer": source.layer.name.lower(),
        "source": source.source,
        "known_as": name.model,
        "match": str(name.match),
        "alias_source": None if name.alias is None else name.alias.source,
        "candidates": list(name.candidates),
        "standing": str(word.standing),
        "table_id": None if step is None else step.table.id,
        "route": None if step is None else step.table.route,
        "effective_from": None if step is None else format_instant(step.effective_from),
        "recorded_at": None if step is None else format_instant(step.table.recorded_at),
        "next_from": None if starts is None else format_instant(starts),
        "tiers": [] if step is None else tiers_json(reversed(step.tiers)),
    }
