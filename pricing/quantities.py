"""Quantities: what one request used, in disjoint buckets.

Every unit used is in exactly one bucket: ``input_tokens`` are the tokens that were *not* read from a cache, ``output_tokens``
include reasoning. ``reasoning_tokens`` is a memo: it is already part of ``output_tokens`` and is never priced.
"""

from typing import Any

from msgspec import Struct

from pricing.errors import InvalidQuantityError
from pricing.excerpt import excerpt

# A record with a larger quantity is broken. The sum of nine billion quantities of this size still fits into 64 bits.
MAX_QUANTITY = 1_000_000_000


class Quantities(Struct, frozen=True, gc=False, omit_defaults=True):
    """Non-negative integer counts; milliseconds where the name ends in ``_ms``.

    The constructor does not check its arguments, because the decoders that build millions of these declare the bounds
    themselves. All other code uses ``checked_quantities``.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    images: int = 0
    megapixels: int = 0
    video_ms: int = 0
    audio_ms: int = 0
    compute_ms: int = 0
    characters: int = 0
    reasoning_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """All tokens sent to the model, cached or not. They select the context tier."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
            + self.input_audio_tokens
            + self.input_image_tokens
        )

    @property
    def has_output(self) -> bool:
        """Whether the provider produced output. A request without a status is billable if it has output."""
        return any(getattr(self, kind) for kind in OUTPUT_KINDS)


# The buckets that can have a price, in the order in which rates, statements and rollups store them. The memo is last in the
# struct, so that a slice leaves it out.
PRICED_KINDS: tuple[str, ...] = Quantities.__struct_fields__[:-1]
ALL_KINDS: tuple[str, ...] = Quantities.__struct_fields__

# Some models are priced per request. Every event is one request, so this quantity is never stored.
REQUESTS = "requests"

OUTPUT_KINDS = (
    "output_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "images",
    "megapixels",
    "video_ms",
    "audio_ms",
    "compute_ms",
    "characters",
)


def checked_quantities(**counts: Any) -> Quantities:
    """Build Quantities from unchecked counts.

    Raises InvalidQuantityError with the field and its value: not an integer, negative, above MAX_QUANTITY, or more reasoning
    than output.
    """
    for name, count in counts.items():
        if name not in ALL_KINDS:
            raise InvalidQuantityError(f"{name} is not a kind of quantity")
        check_count(name, count)
    quantities = Quantities(**counts)
    if quantities.reasoning_tokens > quantities.output_tokens + quantities.output_audio_tokens:
        raise InvalidQuantityError(
            f"reasoning_tokens {quantities.reasoning_tokens} exceeds output_tokens {quantities.output_tokens}, which include it"
        )
    return quantities


def check_count(name: str, count: object) -> int:
    """Return ``count`` if it is a valid quantity. Raises InvalidQuantityError with ``name`` and the value."""
    if not isinstance(count, int) or isinstance(count, bool):
        raise InvalidQuantityError(f"{name} must be a whole number, got {excerpt(count, 40)}")
    if count < 0:
        raise InvalidQuantityError(f"{name} must not be negative, got {excerpt(count, 40)}")
    if count > MAX_QUANTITY:
        raise InvalidQuantityError(f"{name} must be at most {MAX_QUANTITY}, got {excerpt(count, 40)}")
    return count
