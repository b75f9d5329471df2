"""Why a request has its rate, step by step. The explanation comes from the same decision that prices the request.

It has the price lists in order of precedence, each list's name for the model, its entry at the instant, which list decides and
why, and the tier for the size of the prompt. If no rate applies, it has the reason.
"""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from pricing.book import PriceBook
from pricing.own_names import OwnName
from pricing.precedence import ListQuote, ListVersions, QuoteOutcome, Tiers, decide, tier_for
from pricing.rates import ANY_OPERATION, Rate
from pricing.tables import ANY_ROUTE, RateKey


class RateQuery(Struct, frozen=True, kw_only=True):
    """A request to find a rate for. The model is named as the record states it; ``instant`` is microseconds UTC.

    ``context_tokens`` is the size of the prompt, cached tokens included.
    """

    provider: str
    model: str
    instant: int
    route: str
    account_id: int | None = None
    operation: str = ANY_OPERATION
    context_tokens: int = 0

    @property
    def key(self) -> RateKey:
        """The key of the rate: (provider, model, operation)."""
        return self.provider, self.model, self.operation


class RateReason(StrEnum):
    """Why a rate applies, or why none does."""

    PRICED = "priced"
    AMBIGUOUS = "ambiguous"
    WITHDRAWN = "withdrawn"
    NOT_YET = "not_yet"
    BELOW_LOWEST_TIER = "below_lowest_tier"
    OTHER_ROUTE = "other_route"
    OTHER_OPERATION = "other_operation"
    OTHER_PROVIDER = "other_provider"
    NOT_LISTED = "not_listed"


class RateExplanation(Struct, frozen=True):
    """The rate that applies, or none, with the reason.

    ``quotes`` are in order of precedence, without those of lists that have no model of the provider. ``tiers`` are those of the
    quote that wins, smallest prompt first. ``elsewhere`` names the routes, operations or providers that do have a price, where
    that is the reason for having none. ``own_name`` is the name of one's own that the request was looked up by, if it has one.
    """

    query: RateQuery
    quotes: tuple[ListQuote, ...]
    tiers: Tiers
    rate: Rate | None
    reason: RateReason
    elsewhere: tuple[str, ...] = ()
    own_name: OwnName | None = None

    @property
    def winner(self) -> ListQuote | None:
        """The quote that decides the price."""
        return next((quote for quote in self.quotes if quote.outcome is QuoteOutcome.WINS), None)


def explain(book: PriceBook, query: RateQuery) -> RateExplanation:
    """Return the rate that ``book.rate_for`` finds, with the reason for it or for finding none."""
    own_name = book.own_names.at(query.provider, query.model, query.instant)
    meant = query if own_name is None else replace(query, model=own_name.model)
    lookups = book.lookups(query.account_id, query.route, meant.key)
    quotes = tuple(
        quote for quote in decide(lookups, query.instant) if quote.lookup.price_list.names.has_provider(query.provider)
    )
    winner = next((quote for quote in quotes if quote.outcome is QuoteOutcome.WINS), None)
    tiers: Tiers = () if winner is None or winner.entry is None else winner.entry.tiers
    rate = tier_for(tiers, query.context_tokens)
    elsewhere: tuple[str, ...] = ()
    if tiers:
        reason = RateReason.PRICED if rate is not None else RateReason.BELOW_LOWEST_TIER
    else:
        reason, elsewhere = _reason_without_rate(book, meant, quotes)
    return RateExplanation(query, quotes, tuple(reversed(tiers)), rate, reason, elsewhere, own_name)


_REASONS = (
    (QuoteOutcome.AMBIGUOUS, RateReason.AMBIGUOUS),
    (QuoteOutcome.WITHDRAWN, RateReason.WITHDRAWN),
    (QuoteOutcome.NOT_YET, RateReason.NOT_YET),
)


def _reason_without_rate(
    book: PriceBook, query: RateQuery, quotes: tuple[ListQuote, ...]
) -> tuple[RateReason, tuple[str, ...]]:
    """Return the first reason that applies, in the order in which people can act on them, and where else there is a price."""
    outcomes = {quote.outcome for quote in quotes}
    reason = next((reason for outcome, reason in _REASONS if outcome in outcomes), None)
    if reason is not None:
        return reason, ()
    visible = [versions for versions in book.versions if versions.account_id in (None, query.account_id)]
    here = [versions for versions in visible if versions.route in (ANY_ROUTE, query.route)]
    for other, found in (
        (
            RateReason.OTHER_OPERATION,
            {key[2] for versions in here for key in _priced_keys(book, versions, query, query.provider)},
        ),
        (
            RateReason.OTHER_ROUTE,
            {versions.route for versions in visible if _priced_keys(book, versions, query, query.provider)},
        ),
        (RateReason.OTHER_PROVIDER, {key[0] for versions in visible for key in _priced_keys(book, versions, query, None)}),
    ):
        if found:
            return other, tuple(sorted(found))
    return RateReason.NOT_LISTED, ()


def _priced_keys(book: PriceBook, versions: ListVersions, query: RateQuery, provider: str | None) -> list[RateKey]:
    """Return the keys under which a list prices the model at the instant, at one provider or at any (None)."""
    found = []
    for key in versions.entries:
        at = provider or key[0]
        if key[0] != at:
            continue
        names = {query.model, *book.aliases.of(at, query.model)}
        entry = versions.in_force(key, query.instant)
        if entry and entry.tiers and (key[1] in names or key[1].casefold() == query.model.casefold()):
            found.append(key)
    return found
