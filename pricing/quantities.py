"""Quantities: what one request used, in disjoint buckets.

Every unit used is in exactly one bucket: ``input_tokens`` are the tokens that were *not* read from a cache, ``output_tokens``
include reasoning. ``reasoning_tokens`` is a memo: it is already part of ``output_tokens`` and is never priced.

The fields of ``Quantities`` are the only list of kinds. The tuples of names below, the columns of queries and exports, and the
fields of log formats and the API are derived from it. A kind without a column in the database is stored as JSON, so a new kind
takes one line here and no migration.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from operator import itemgetter
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, get_type_hints

from msgspec import Struct

from pricing.errors import InvalidQuantityError
from pricing.excerpt import excerpt

# A record with a larger quantity is broken. The sum of nine billion quantities of this size still fits into 64 bits.
MAX_QUANTITY = 1_000_000_000


class QuantityUse(Enum):
    """What a kind counts: what was sent to the model, what it produced, or a part of another kind (never priced)."""

    PROMPT = "prompt"
    OUTPUT = "output"
    MEMO = "memo"


class QuantityKind(NamedTuple):
    """What is known about a kind of quantity besides its name. ``unit`` is in the singular: ``token``, ``ms``, ``image``."""

    unit: str
    use: QuantityUse


_PromptTokens = Annotated[int, QuantityKind("token", QuantityUse.PROMPT)]
_OutputTokens = Annotated[int, QuantityKind("token", QuantityUse.OUTPUT)]
_MemoTokens = Annotated[int, QuantityKind("token", QuantityUse.MEMO)]
_OutputTime = Annotated[int, QuantityKind("ms", QuantityUse.OUTPUT)]


class Quantities(Struct, frozen=True, gc=False, omit_defaults=True):
    """Non-negative integer counts; milliseconds where the name ends in ``_ms``, tokens where it ends in ``_tokens``.

    The constructor does not check its arguments, because the decoders that build millions of these declare the bounds
    themselves. All other code uses ``checked_quantities``.
    """

    input_tokens: _PromptTokens = 0
    cache_read_tokens: _PromptTokens = 0
    cache_write_tokens: _PromptTokens = 0
    cache_write_1h_tokens: _PromptTokens = 0
    output_tokens: _OutputTokens = 0
    input_audio_tokens: _PromptTokens = 0
    output_audio_tokens: _OutputTokens = 0
    input_image_tokens: _PromptTokens = 0
    output_image_tokens: _OutputTokens = 0
    images: Annotated[int, QuantityKind("image", QuantityUse.OUTPUT)] = 0
    megapixels: Annotated[int, QuantityKind("megapixel", QuantityUse.OUTPUT)] = 0
    video_ms: _OutputTime = 0
    audio_ms: _OutputTime = 0
    compute_ms: _OutputTime = 0
    characters: Annotated[int, QuantityKind("character", QuantityUse.OUTPUT)] = 0
    search_units: Annotated[int, QuantityKind("unit", QuantityUse.OUTPUT)] = 0
    reasoning_tokens: _MemoTokens = 0

    @property
    def prompt_tokens(self) -> int:
        """All tokens sent to the model, cached or not. They select the context tier."""
        return _prompt_total(self)

    @property
    def has_output(self) -> bool:
        """Whether the provider produced output. A request without a status is billable if it has output."""
        return bool(_output_total(self))


def _facts(annotated: Any) -> QuantityKind:
    (facts,) = annotated.__metadata__
    if not isinstance(facts, QuantityKind):
        raise TypeError(f"a field of Quantities is annotated with {facts!r}, not with a QuantityKind")
    return facts


KINDS: Mapping[str, QuantityKind] = MappingProxyType(
    {name: _facts(annotated) for name, annotated in get_type_hints(Quantities, include_extras=True).items()}
)

# Names of kinds, in the order of the fields. PRICED_KINDS can have a price; TOKEN_KINDS add up to a number of tokens.
ALL_KINDS: tuple[str, ...] = tuple(KINDS)
PRICED_KINDS: tuple[str, ...] = tuple(name for name, kind in KINDS.items() if kind.use is not QuantityUse.MEMO)
PROMPT_KINDS: tuple[str, ...] = tuple(name for name, kind in KINDS.items() if kind.use is QuantityUse.PROMPT)
OUTPUT_KINDS: tuple[str, ...] = tuple(name for name, kind in KINDS.items() if kind.use is QuantityUse.OUTPUT)
TOKEN_KINDS: tuple[str, ...] = tuple(name for name in PRICED_KINDS if KINDS[name].unit == "token")

# Some models are priced per request. Every event is one request, so this quantity is never stored.
REQUESTS = "requests"

# The unit of everything that can have a price, and of the memo, in the singular.
UNIT_OF: Mapping[str, str] = MappingProxyType({**{name: kind.unit for name, kind in KINDS.items()}, REQUESTS: "request"})

Amounts = tuple[int, ...]


def picker(kinds: Sequence[str]) -> Callable[[Amounts], Amounts]:
    """Return a function that picks the amounts of ``kinds``, in their order, out of a tuple in the order of ALL_KINDS."""
    match [ALL_KINDS.index(kind) for kind in kinds]:
        case []:
            return lambda _: ()
        case [place]:
            return lambda amounts: (amounts[place],)
        case places:
            return itemgetter(*places)


def total_of(kinds: Sequence[str]) -> Callable[[Quantities], int]:
    """Return a function that adds up the amounts of ``kinds``.

    It is compiled from their names, as ``namedtuple`` does: charging calls it for each request, and picking the amounts out of
    a tuple takes twice as long.
    """
    source = " + ".join(f"quantities.{kind}" for kind in kinds)
    total: Callable[[Quantities], int] = eval(f"lambda quantities: {source}")  # noqa: S307 - of this module's own names
    return total


_prompt_total = total_of(PROMPT_KINDS)
_output_total = total_of(OUTPUT_KINDS)


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
