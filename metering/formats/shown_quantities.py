"""Quantities that an answer shows where its usage states none: images, seconds of audio, characters to speak."""

from typing import Any

from metering.formats.openai_exchange import Exchange
from metering.formats.record_fields import scaled_up
from pricing.quantities import MAX_QUANTITY, Quantities

_IMAGE_LISTS = ("data", "images", "output", "artifacts")
_SPOKEN_TEXTS = ("input", "text", "inputs")


def shown_quantities(exchange: Exchange, operation: str) -> Quantities | None:
    """Return what the answer itself shows of an operation; None if it shows nothing."""
    if operation == "image_generation":
        images = _images(exchange.response)
        return Quantities(images=images) if images else None
    if operation == "transcription":
        audio_ms = scaled_up(exchange.response.get("duration"), 1000)
        return Quantities(audio_ms=audio_ms) if audio_ms and audio_ms <= MAX_QUANTITY else None
    if operation == "speech":
        characters = _characters(exchange.request)
        return Quantities(characters=characters) if 0 < characters <= MAX_QUANTITY else None
    return None


def _characters(request: dict[str, Any]) -> int:
    for name in _SPOKEN_TEXTS:
        text = request.get(name)
        if isinstance(text, str) and text:
            return len(text)
    return 0


def _images(response: dict[str, Any]) -> int:
    for name in _IMAGE_LISTS:
        shown = response.get(name)
        if isinstance(shown, list) and shown:
            return len(shown)
        if isinstance(shown, str) and shown:
            return 1
    return 1 if response.get("image") else 0
