"""Explanations of prices in words."""

from metering.cli.prices.price_text import since
from metering.cli.terminal.sanitize import sanitize
from metering.domain.prices.price_explanations import PriceExplanation
from metering.domain.usage.events import UNKNOWN
from metering.domain.usage.model_names import PROVIDERS, provider_name
from pricing.explain import RateExplanation, RateReason
from pricing.names import NameMatch, ResolvedName
from pricing.precedence import QuoteOutcome

_ROUTES = {
    "stated": "as stated",
    "provider": "because hf-inference is always serverless",
    "account": "from the account's setting",
    "assumed": "assumed, because neither a route nor an account is given",
    "unknown": "because neither the request nor the account's setting states it",
}
_OUTCOMES = {
    QuoteOutcome.WINS: "yes",
    QuoteOutcome.OUTRANKED: "no: a list above has a price",
    QuoteOutcome.OLDER: "no: another list of the same rank has a later price",
    QuoteOutcome.WITHDRAWN: "no: withdrawn, or listed without a price",
    QuoteOutcome.WITHDRAWN_ABOVE: "no: the same list withdrew the model above",
    QuoteOutcome.NOT_YET: "no: not in force yet",
    QuoteOutcome.AMBIGUOUS: "no: the name matches several models",
    QuoteOutcome.NOT_LISTED: "no: not listed",
}


def request_in_words(found: PriceExplanation) -> list[str]:
    """Return how the request was read before its price was looked up."""
    query = found.explanation.query
    lines = [f"{sanitize(query.model)} at {sanitize(query.provider)}, {sanitize(query.operation)}, {since(query.instant)}"]
    if found.request.known_at is not None:
        lines[0] += f", as known at {since(found.request.known_at)}"
    if found.explanation.own_name is not None:
        lines.append(f"alias of your own: looked up as {sanitize(found.explanation.own_name.model)}")
    if found.suffix:
        lines.append(_suffix_in_words(found.suffix.removeprefix(":"), query.provider))
    lines.append(f"route: {query.route}, {_ROUTES[found.route_from]}")
    return lines


def _suffix_in_words(suffix: str, provider: str) -> str:
    if provider_name(suffix) == provider:
        return f"suffix: {sanitize(suffix)} states the provider"
    if provider_name(suffix) in PROVIDERS:
        return f"suffix: {sanitize(suffix)} conflicts with provider {sanitize(provider)}; the explicit provider wins"
    missing = "; it does not state the provider" if provider == UNKNOWN else ""
    return f"suffix: {sanitize(suffix)} is not part of the model's name{missing}"


def name_in_words(name: ResolvedName) -> str:
    """Return a price list's name for the model, and how it was found."""
    if name.match is NameMatch.ALIAS:
        return f"{name.model} (alias)"
    if name.match is NameMatch.CASE:
        return f"{name.model} (letter case)"
    if name.match is NameMatch.AMBIGUOUS:
        return " or ".join(name.candidates)
    return "the same" if name.match is NameMatch.EXACT else ""


def outcome_in_words(outcome: QuoteOutcome) -> str:
    """Return whether a price list's prices apply, and why not."""
    return _OUTCOMES[outcome]


def reason_in_words(explanation: RateExplanation) -> str:
    """Return the result in one sentence."""
    query = explanation.query
    elsewhere = ", ".join(sanitize(name or "any") for name in explanation.elsewhere)
    return {
        RateReason.PRICED: "The request has a price.",
        RateReason.AMBIGUOUS: "No price: the name matches several models of a list; use the exact name.",
        RateReason.WITHDRAWN: "No price: the model was withdrawn, or is listed without a price.",
        RateReason.NOT_YET: "No price: none is in force yet at that instant.",
        RateReason.BELOW_LOWEST_TIER: "No price: the prompt is below the lowest context tier.",
        RateReason.OTHER_OPERATION: f"No price for {sanitize(query.operation)}; there are prices for: {elsewhere}.",
        RateReason.OTHER_ROUTE: f"No price for route {query.route}; there are prices for: {elsewhere}.",
        RateReason.OTHER_PROVIDER: f"No price at {sanitize(query.provider)}; there are prices at: {elsewhere}.",
        RateReason.NOT_LISTED: "No price: no price list has the model.",
    }[explanation.reason]
