"""Convert the ``usage`` of OpenAI-compatible responses to disjoint quantities, so that every token is counted exactly once.

OpenAI's counts are inclusive: the prompt includes tokens read from a cache, the completion includes reasoning. Anthropic's are
disjoint: ``input_tokens`` excludes ``cache_read_input_tokens``. The field names show which convention a usage follows. Sources:
the API references of OpenAI (chat, responses, embeddings, images, audio), Anthropic (messages), Together (``cached_tokens`` at
the top level) and DeepSeek (``prompt_cache_hit_tokens``).
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from metering.domain.errors import RecordError
from metering.formats.record_fields import count_field, dollars_as_nano, require_reasoning_inside_output, scaled_up
from metering.formats.unread_fields import UnreadFields
from pricing.quantities import MAX_QUANTITY, Quantities

PROMPT_NAMES = ("prompt_tokens", "input_tokens")
COMPLETION_NAMES = ("completion_tokens", "output_tokens")
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_CACHED_NAMES = ("cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens")

_KNOWN = frozenset(
    {
        *PROMPT_NAMES, *COMPLETION_NAMES, *_PROMPT_DETAILS, *_COMPLETION_DETAILS, *_CACHED_NAMES,
        "cache_creation_input_tokens", "cache_creation", "prompt_cache_miss_tokens", "reasoning_tokens", "total_tokens",
        "cost", "cost_details", "type", "seconds",
    }
)  # fmt: skip


class StatedUsage(Struct, frozen=True):
    """The usage of a response. ``quantities`` is None if it states none. The cost (nano-USD) is the one a gateway computed."""

    quantities: Quantities | None = None
    estimate_reason: str = ""
    gateway_cost_nano: int | None = None


def stated_usage(usage: object, unread: UnreadFields) -> StatedUsage:
    """Read a ``usage`` object.

    Raises RecordError wrong_type, invalid_quantity, cached_exceeds_prompt or reasoning_exceeds_output.
    """
    if usage is None or usage == {}:
        return StatedUsage()
    if not isinstance(usage, dict):
        raise RecordError("wrong_type", "usage must be an object of counts", "usage")
    for name, value in usage.items():
        if name not in _KNOWN and value is not None:
            unread.note(f"usage.{name}")
    cost_nano = dollars_as_nano(usage.get("cost"))
    if usage.get("cost") is not None and cost_nano is None:
        unread.note("usage.cost")
    if usage.get("type") == "duration":
        return StatedUsage(Quantities(audio_ms=_milliseconds(usage.get("seconds"))), "", cost_nano)
    if not any(usage.get(name) is not None for name in (*PROMPT_NAMES, *COMPLETION_NAMES)):
        return StatedUsage(gateway_cost_nano=cost_nano)
    prompt, overlap = _prompt(usage)
    quantities = require_reasoning_inside_output(Quantities(**prompt, **_completion(usage)), "usage.reasoning_tokens")
    return StatedUsage(quantities, "cached_tokens_not_broken_down" if overlap else "", cost_nano)


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


def _prompt(usage: dict[str, Any]) -> tuple[dict[str, int], bool]:
    if usage.get("prompt_tokens") is None and (
        usage.get("cache_read_input_tokens") is not None or usage.get("cache_creation_input_tokens") is not None
    ):
        return _disjoint_prompt(usage), False
    details, where = _details(usage, _PROMPT_DETAILS)
    cached = max(_count(details, "cached_tokens", where), *(_count(usage, name) for name in _CACHED_NAMES))
    written = max(_count(details, "cache_write_tokens", where), _count(usage, "cache_creation_input_tokens"))
    cached_audio, cached_image = _cached_by_kind(details, where)
    audio = max(0, _count(details, "audio_tokens", where) - cached_audio)
    image = max(0, _count(details, "image_tokens", where) - cached_image)
    return split_prompt(_first_count(usage, PROMPT_NAMES), cached, written, audio, image)


def _disjoint_prompt(usage: dict[str, Any]) -> dict[str, int]:
    written = _count(usage, "cache_creation_input_tokens")
    creation = usage.get("cache_creation")
    for_an_hour = _count(creation, "ephemeral_1h_input_tokens", "usage.cache_creation.") if isinstance(creation, dict) else 0
    return {
        "input_tokens": _count(usage, "input_tokens"),
        "cache_read_tokens": _count(usage, "cache_read_input_tokens"),
        "cache_write_tokens": max(0, written - for_an_hour),
        "cache_write_1h_tokens": for_an_hour,
    }


def _completion(usage: dict[str, Any]) -> dict[str, int]:
    details, where = _details(usage, _COMPLETION_DETAILS)
    completion = _first_count(usage, COMPLETION_NAMES)
    audio = _count(details, "audio_tokens", where)
    image = _count(details, "image_tokens", where)
    if audio + image > completion:
        raise RecordError(
            "invalid_quantity",
            f"{audio} audio and {image} image tokens exceed the completion's {completion}, which include them",
            where.rstrip("."),
        )
    return {
        "output_tokens": completion - audio - image,
        "output_audio_tokens": audio,
        "output_image_tokens": image,
        "reasoning_tokens": max(_count(details, "reasoning_tokens", where), _count(usage, "reasoning_tokens")),
    }


def _cached_by_kind(details: Mapping[str, Any], where: str) -> tuple[int, int]:
    by_kind = details.get("cached_tokens_details")
    if not isinstance(by_kind, dict):
        return 0, 0
    where = f"{where}cached_tokens_details."
    return _count(by_kind, "audio_tokens", where), _count(by_kind, "image_tokens", where)


def _details(usage: dict[str, Any], names: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    for name in names:
        details = usage.get(name)
        if isinstance(details, dict):
            return details, f"usage.{name}."
    return {}, "usage."


def _count(counts: Mapping[str, Any], name: str, where: str = "usage.") -> int:
    value = counts.get(name)
    return 0 if value is None else count_field(value, where + name)


def _first_count(usage: dict[str, Any], names: tuple[str, ...]) -> int:
    for name in names:
        if usage.get(name) is not None:
            return _count(usage, name)
    return 0


def _milliseconds(seconds: object) -> int:
    milliseconds = None if isinstance(seconds, str) else scaled_up(seconds, 1000)
    if milliseconds is None or milliseconds > MAX_QUANTITY:
        raise RecordError("invalid_quantity", "usage.seconds must be a number of seconds and not negative", "usage.seconds")
    return milliseconds
