"""What a request reserves in the budgets that it counts in: the most that it is expected to cost.

Method: its input tokens, estimated from bytes (``estimates``), at the price of an uncached input token; and the most tokens
that it can produce, ``max_tokens`` for each of its ``n`` choices, at the output price. Where the router is to choose the
provider, at the dearest partner's prices. What a request does not state is bounded here:

- without ``max_tokens``: 4,096 output tokens for each choice; embeddings and reranking produce none;
- a JSON body that is too long to be read whole: a token for each four bytes, at most 262,144;
- an image: as many as asked for, of two megapixels each;
- compute time: 30 seconds; video: 10 seconds;
- sound to be transcribed: a second for each 2,000 bytes of the request; text to be spoken is counted exactly.

A request that costs more than its bound passes the limit by the difference. A kind of quantity without a price reserves
nothing.
"""

from collections.abc import Iterable
from operator import mul

from msgspec import Struct
from msgspec.structs import astuple

from metering.sidecar.estimates import UNLIMITED_OUTPUT_TOKENS, tokens_in
from metering.sidecar.proxy import EnteringRequest
from pricing.errors import ChargeTooLargeError
from pricing.money import MAX_CHARGE_NANO
from pricing.precedence import Tiers, tier_for
from pricing.quantities import MAX_QUANTITY, Quantities
from pricing.rates import Rate
from pricing.rating import text_amount

MAX_UNREAD_TOKENS = 262_144
MEGAPIXELS_PER_IMAGE = 2
COMPUTE_MS = 30_000
VIDEO_MS = 10_000
SOUND_BYTES_PER_MS = 2
_WITHOUT_OUTPUT = frozenset({"embeddings", "rerank"})


class ExpectedUse(Struct, frozen=True):
    """The most tokens that a request is expected to use."""

    input_tokens: int
    output_tokens: int


def expected_use(request: EnteringRequest, operation: str) -> ExpectedUse:
    """Return the tokens that a request is expected to use at most."""
    facts = request.facts
    tokens = request.input_tokens or min(tokens_in(request.unread_bytes), MAX_UNREAD_TOKENS)
    if operation in _WITHOUT_OUTPUT:
        return ExpectedUse(min(tokens, MAX_QUANTITY), 0)
    each = UNLIMITED_OUTPUT_TOKENS if facts.max_output_tokens is None else facts.max_output_tokens
    return ExpectedUse(min(tokens, MAX_QUANTITY), min(each * facts.choices, MAX_QUANTITY))


def reserved_nano(request: EnteringRequest, operation: str, offers: Iterable[Tiers]) -> int:
    """Return what a request reserves, in nano-USD, at the dearest of several providers' rates; 0 without a rate."""
    use = expected_use(request, operation)
    most = 0
    for tiers in offers:
        rate = tier_for(tiers, use.input_tokens)
        if rate is not None:
            most = max(most, _amount_nano(rate, use, request, operation))
    return most


def _amount_nano(rate: Rate, use: ExpectedUse, request: EnteringRequest, operation: str) -> int:
    if rate.text is not None:
        try:
            return text_amount(rate, use.input_tokens, 0, 0, 0, use.output_tokens) or 0
        except ChargeTooLargeError:
            return MAX_CHARGE_NANO
    amounts = astuple(_all_kinds(use, request, operation))
    scaled: int = sum(map(mul, amounts, rate.vector), rate.per_request)
    return min(MAX_CHARGE_NANO, -(-scaled // rate.denominator))


def _all_kinds(use: ExpectedUse, request: EnteringRequest, operation: str) -> Quantities:
    images = request.facts.choices if operation == "image_generation" else 0
    return Quantities(
        input_tokens=use.input_tokens,
        output_tokens=use.output_tokens,
        images=images,
        megapixels=images * MEGAPIXELS_PER_IMAGE,
        video_ms=VIDEO_MS,
        audio_ms=request.body_bytes // SOUND_BYTES_PER_MS if operation == "transcription" else 0,
        compute_ms=COMPUTE_MS,
        characters=len(request.facts.text),
        search_units=1 if operation == "rerank" else 0,
    )
