"""The steps of an explained price in words."""

from metering.cli.prices.price_text import since
from metering.cli.terminal.sanitize import sanitize
from metering.domain.prices.price_explanations import PriceExplanation
from metering.domain.usage.events import UNKNOWN
from metering.domain.usage.model_names import PROVIDERS, provider_name
from pricing.explain import Explanation, PricingReason
from pricing.names import NameMatch, ResolvedName
from pricing.precedence import QuoteOutcome

_ROUTES = {
    "stated": "as stated",
    "provider": "because hf-inference is always serverless",
    "account": "by the account's setting",
    "assumed": "assumed, because no account and no route is named",
    "unknown": "because neither the request nor the account's setting says how it is billed",
}
_COUNTS = {
    QuoteOutcome.WINS: "this one",
    QuoteOutcome.OUTRANKED: "no: a list before it has a price",
    QuoteOutcome.OLDER: "no: another list of the same rank has a later price",
    QuoteOutcome.WITHDRAWN: "no: it has withdrawn the model, or knows it without a price",
    QuoteOutcome.WITHDRAWN_ABOVE: "no: the same list has withdrawn it above",
    QuoteOutcome.NOT_YET: "no: not valid yet",
    QuoteOutcome.AMBIGUOUS: "no: the name fits several, and is not guessed",
    QuoteOutcome.NOT_LISTED: "no: does not list it",
}


def reading_in_words(found: PriceExplanation) -> list[str]:
    """Return how the request was read before prices were looked at."""
    question = found.explanation.question
    lines = [
        f"{sanitize(question.model)} at {sanitize(question.provider)}, {sanitize(question.operation)},"
        f" {since(question.instant)}"
    ]
    if found.request.known_at is not None:
        lines[0] += f", as known at {since(found.request.known_at)}"
    if found.suffix:
        named = found.suffix.removeprefix(":")
        if provider_name(named) == question.provider:
            lines.append(f"suffix: {sanitize(named)} says who served the request")
        elif provider_name(named) in PROVIDERS:
            stated = sanitize(question.provider)
            lines.append(f"suffix: {sanitize(named)} contradicts the provider, which is {stated}; what is stated apart counts")
        else:
            unsaid = "; it does not say who served the request" if question.provider == UNKNOWN else ""
            lines.append(f"suffix: {sanitize(named)} is no part of the name{unsaid}")
    lines.append(f"route: {question.route}, {_ROUTES[found.route_from]}")
    return lines


def known_as_in_words(name: ResolvedName) -> str:
    """Return the name by which a list knows the model, and how that is known."""
    if name.match is NameMatch.ALIAS:
        return f"{name.model} (alias)"
    if name.match is NameMatch.CASE:
        return f"{name.model} (letter case)"
    if name.match is NameMatch.AMBIGUOUS:
        return " or ".join(name.candidates)
    return "the same" if name.match is NameMatch.EXACT else ""


def counts_in_words(standing: QuoteOutcome) -> str:
    """Return whether a list's word counts, and why not."""
    return _COUNTS[standing]


def reason_in_words(explanation: Explanation) -> str:
    """Return the answer in one sentence."""
    question = explanation.question
    elsewhere = ", ".join(sanitize(name or "any") for name in explanation.elsewhere)
    return {
        PricingReason.PRICED: "It has a price.",
        PricingReason.AMBIGUOUS: "No price: the name fits several models of a list; write it as the list does.",
        PricingReason.WITHDRAWN: "No price: it was withdrawn, or is listed without a price.",
        PricingReason.NOT_YET: "No price yet at that instant.",
        PricingReason.BELOW_LOWEST_TIER: "No price: the prompt is smaller than the smallest that is priced.",
        PricingReason.OTHER_OPERATION: f"No price for {sanitize(question.operation)}; there is one for: {elsewhere}.",
        PricingReason.OTHER_ROUTE: f"No price on route {question.route}; there is one on: {elsewhere}.",
        PricingReason.OTHER_PROVIDER: f"No price at {sanitize(question.provider)}; there is one at: {elsewhere}.",
        PricingReason.NOT_LISTED: "No price: no list knows the model.",
    }[explanation.reason]
