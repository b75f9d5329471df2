"""Why a request has its price: the request as stated, how it was read, and the decision."""

from msgspec import Struct

from metering.domain.accounts.accounts import Account
from metering.domain.usage.events import UNKNOWN
from pricing.explain import RateExplanation


class StatedRequest(Struct, frozen=True, kw_only=True):
    """A request as a record would state it.

    ``at`` is when the request started; ``known_at`` leaves out prices that were recorded later. Both are microseconds UTC.
    ``context_tokens`` is the size of the prompt, cached tokens included.
    """

    model: str
    at: int
    provider: str = UNKNOWN
    route: str = ""
    account: str | None = None
    operation: str = "chat"
    context_tokens: int = 0
    known_at: int | None = None


class PriceExplanation(Struct, frozen=True):
    """The decision, and how the request was read beforehand.

    ``suffix`` is the part removed from the model's name. ``route_from`` is how the route is known: ``stated``, from the
    ``provider``, from the ``account``'s setting, ``unknown`` where the account has no setting, ``assumed`` where no account is
    named.
    """

    request: StatedRequest
    suffix: str
    route_from: str
    account: Account | None
    explanation: RateExplanation
