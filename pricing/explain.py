"""Why a request has the price it has, step by step: the same decision that prices it, told instead of used.

Which sources were asked and in which order, under which name each knows the model, what each says at the instant, whose word
counts and why, and the tier for the size of the prompt. Where nothing counts: why not.
"""

from enum import StrEnum

from msgspec import Struct

from pricing.book import PriceBook
from pricing.precedence import ListQuote, ListVersions, QuoteOutcome, Tiers, decide, tier_for
from pricing.rates import ANY_OPERATION, Rate
from pricing.tables import ANY_ROUTE, RateKey


class Question(Struct, frozen=True, kw_only=True):
    """What is asked: the model as it is stated, at a provider; ``instant`` in microseconds UTC, ``context_tokens`` the prompt's
    size, cached tokens included.
    """

    provider: str
    model: str
    instant: int
    route: str
    account_id: int | None = None
    operation: str = ANY_OPERATION
    context_tokens: int = 0

    @property
    def what(self) -> RateKey:
        """What a rate would be for."""
        return self.provider, self.model, self.operation


class PricingReason(StrEnum):
    """Why there is a rate, or none."""

    PRICED = "priced"
    AMBIGUOUS = "ambiguous"
    WITHDRAWN = "withdrawn"
    NOT_YET = "not_yet"
    BELOW_LOWEST_TIER = "below_lowest_tier"
    OTHER_ROUTE = "other_route"
    OTHER_OPERATION = "other_operation"
    OTHER_PROVIDER = "other_provider"
    NOT_LISTED = "not_listed"


class Explanation(Struct, frozen=True):
    """The answer with its grounds.

    ``words`` are what the sources say, in the order in which they are asked, without those that list nothing of the provider.
    ``tiers`` are those of the word that wins, smallest prompt first. ``elsewhere`` names the routes, operations or providers
    that do have a price, where that is the reason for having none.
    """

    question: Question
    words: tuple[ListQuote, ...]
    tiers: Tiers
    rate: Rate | None
    reason: PricingReason
    elsewhere: tuple[str, ...] = ()

    @property
    def winner(self) -> ListQuote | None:
        """The word that counts."""
        return next((word for word in self.words if word.standing is QuoteOutcome.WINS), None)


def explain(book: PriceBook, question: Question) -> Explanation:
    """Say which rate ``book.rate_for`` answers to a question, and why that one or why none."""
    asked = book.asked(question.account_id, question.route, question.what)
    words = tuple(word for word in decide(asked, question.instant) if word.asked.source.names.lists(question.provider))
    winner = next((word for word in words if word.standing is QuoteOutcome.WINS), None)
    tiers: Tiers = () if winner is None or winner.step is None else winner.step.tiers
    rate = tier_for(tiers, question.context_tokens)
    elsewhere: tuple[str, ...] = ()
    if tiers:
        reason = PricingReason.PRICED if rate is not None else PricingReason.BELOW_LOWEST_TIER
    else:
        reason, elsewhere = _why_not(book, question, words)
    return Explanation(question, words, tuple(reversed(tiers)), rate, reason, elsewhere)


_SILENCES = (
    (QuoteOutcome.AMBIGUOUS, PricingReason.AMBIGUOUS),
    (QuoteOutcome.WITHDRAWN, PricingReason.WITHDRAWN),
    (QuoteOutcome.NOT_YET, PricingReason.NOT_YET),
)


def _why_not(book: PriceBook, question: Question, words: tuple[ListQuote, ...]) -> tuple[PricingReason, tuple[str, ...]]:
    """Return what kept the sources silent: the first that applies, in the order in which people can do something about it."""
    standings = {word.standing for word in words}
    silent = next((reason for standing, reason in _SILENCES if standing in standings), None)
    if silent is not None:
        return silent, ()
    visible = [stream for stream in book.streams if stream.account_id in (None, question.account_id)]
    here = [stream for stream in visible if stream.route in (ANY_ROUTE, question.route)]
    for reason, found in (
        (
            PricingReason.OTHER_OPERATION,
            {key[2] for stream in here for key in _keys(book, stream, question, question.provider)},
        ),
        (PricingReason.OTHER_ROUTE, {stream.route for stream in visible if _keys(book, stream, question, question.provider)}),
        (PricingReason.OTHER_PROVIDER, {key[0] for stream in visible for key in _keys(book, stream, question, None)}),
    ):
        if found:
            return reason, tuple(sorted(found))
    return PricingReason.NOT_LISTED, ()


def _keys(book: PriceBook, stream: ListVersions, question: Question, provider: str | None) -> list[RateKey]:
    """Return the keys under which a stream prices the model at a provider, or at any (None), at the instant."""
    found = []
    for key in stream.steps:
        at = provider or key[0]
        if key[0] != at:
            continue
        known = {question.model, *book.aliases.of(at, question.model)}
        step = stream.in_force(key, question.instant)
        if step and step.tiers and (key[1] in known or key[1].casefold() == question.model.casefold()):
            found.append(key)
    return found
