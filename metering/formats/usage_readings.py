"""Which of the possible readings of a usage is right: the one whose disjoint buckets add up to the total that it states.

Providers differ in what their counts include. Most include the cached tokens in the prompt and the reasoning in the completion;
some count them apart, and some send both pairs of names with one pair left at zero. The plain reading comes first, so a usage
that adds up as it stands, or that states no total, is never read in another way.
"""

from collections.abc import Iterator
from itertools import product

from msgspec import Struct

from metering.domain.errors import RecordError
from metering.formats.record_fields import require_reasoning_inside_output
from pricing.quantities import MAX_QUANTITY, Quantities

TOTAL_DIFFERS = "total_tokens_differs"
CACHE_OVERLAPS = "cached_tokens_not_broken_down"

_NOTHING = Quantities()


class UsageCounts(Struct, frozen=True, gc=False):
    """The counts of a usage, as stated.

    ``prompts`` and ``completions`` are the values under each name, in pairs. ``cache_apart``: by its names, the usage counts
    cached tokens separately. ``makes_images``: the completion is image tokens. ``completion_where`` names the details of
    the completion in errors.
    """

    prompts: tuple[int, ...]
    completions: tuple[int, ...]
    cached: int = 0
    written: int = 0
    written_1h: int = 0
    input_audio: int = 0
    input_image: int = 0
    output_audio: int = 0
    output_image: int = 0
    reasoning: int = 0
    total: int | None = None
    cache_apart: bool = False
    makes_images: bool = False
    completion_where: str = "usage"


class _Reading(Struct, frozen=True, gc=False):
    """Which values to take, and which of the others they do not include."""

    prompt: int
    completion: int
    read_apart: bool
    written_apart: bool
    reasoning_apart: bool = False


def read_counts(counts: UsageCounts) -> tuple[Quantities, str]:
    """Return (quantities, reason if they are an estimate). They are nothing if no reading finds any.

    Raises RecordError cached_exceeds_prompt, reasoning_exceeds_output or invalid_quantity if no reading is possible.
    """
    prompt, completion = (next((count for count in stated if count), 0) for stated in (counts.prompts, counts.completions))
    plain = _Reading(prompt, completion, counts.cache_apart, counts.cache_apart)
    refused: RecordError | None = None
    possible: tuple[Quantities, str] | None = None
    try:
        possible = _quantities(counts, plain)
    except RecordError as error:
        refused = error
    total = counts.total
    if possible is not None and (total is None or _tokens(possible[0]) == total or possible[0] == _NOTHING):
        return possible
    for reading in _other_readings(counts, plain) if total is not None else ():
        try:
            found = _quantities(counts, reading)
        except RecordError:
            continue
        if _tokens(found[0]) == total:
            return found
        possible = possible or found
    if possible is None:
        raise refused or _impossible()
    return possible[0], TOTAL_DIFFERS


def split_prompt(prompt: int, cached: int, written: int = 0, audio: int = 0, image: int = 0) -> tuple[dict[str, int], bool]:
    """Divide an inclusive prompt count into disjoint buckets.

    A cached audio or image token appears in two of the details, and no field states how many do. If the details add up to more
    than the prompt, at least the excess does: it is counted once, as cached, and the second value is True. Raises RecordError
    cached_exceeds_prompt.
    """
    if cached + written > prompt:
        shown = f"{cached} cached" if not written else f"{cached} cached and {written} cache-written"
        raise RecordError(
            "cached_exceeds_prompt",
            f"{shown} tokens exceed the prompt's {prompt}, which include them; if this log counts them separately, map them to"
            " native fields",
            "usage.cached_tokens",
        )
    overlap = max(0, cached + written + audio + image - prompt)
    kept_audio = max(0, audio - overlap)
    kept_image = max(0, image - (overlap - (audio - kept_audio)))
    return {
        "input_tokens": prompt - cached - written - kept_audio - kept_image,
        "cache_read_tokens": cached,
        "cache_write_tokens": written,
        "input_audio_tokens": kept_audio,
        "input_image_tokens": kept_image,
    }, overlap > 0


def _other_readings(counts: UsageCounts, plain: _Reading) -> Iterator[_Reading]:
    """Yield the readings besides the plain one, those that depart from it least first."""
    pairs = dict.fromkeys(
        (
            (plain.prompt, plain.completion),
            *zip(counts.prompts, counts.completions, strict=True),
            *product(counts.prompts, counts.completions),
        )
    )
    caches = [(plain.read_apart, plain.written_apart)]
    if counts.cached or counts.written:
        caches += [cache for cache in product((False, True), (False, True)) if cache not in caches]
    for reasoning_apart in (False, True) if counts.reasoning else (False,):
        for read_apart, written_apart in caches:
            for prompt, completion in pairs:
                yield _Reading(prompt, completion, read_apart, written_apart, reasoning_apart)


def _quantities(counts: UsageCounts, reading: _Reading) -> tuple[Quantities, str]:
    prompt = reading.prompt + reading.read_apart * counts.cached + reading.written_apart * counts.written
    completion = reading.completion + reading.reasoning_apart * counts.reasoning
    if prompt > MAX_QUANTITY or completion > MAX_QUANTITY:
        raise RecordError("invalid_quantity", f"the tokens add up to more than {MAX_QUANTITY}", "usage")
    parts, overlap = split_prompt(prompt, counts.cached, counts.written, counts.input_audio, counts.input_image)
    if counts.written_1h:
        parts["cache_write_tokens"] = max(0, counts.written - counts.written_1h)
        parts["cache_write_1h_tokens"] = min(counts.written, counts.written_1h)
    output_image = completion if counts.makes_images else counts.output_image
    apart = counts.output_audio + output_image
    if apart > completion:
        raise RecordError(
            "invalid_quantity",
            f"{counts.output_audio} audio and {output_image} image tokens exceed the completion's {completion}, which"
            " include them",
            counts.completion_where,
        )
    quantities = Quantities(
        **parts,
        output_tokens=completion - apart,
        output_audio_tokens=counts.output_audio,
        output_image_tokens=output_image,
        reasoning_tokens=counts.reasoning,
    )
    return require_reasoning_inside_output(quantities, "usage.reasoning_tokens"), CACHE_OVERLAPS if overlap else ""


def _tokens(used: Quantities) -> int:
    return used.prompt_tokens + used.output_tokens + used.output_audio_tokens + used.output_image_tokens


def _impossible() -> RecordError:
    return RecordError("invalid_quantity", "the usage contradicts itself", "usage")
