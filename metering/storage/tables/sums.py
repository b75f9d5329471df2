"""The columns of tables that hold sums of ledger entries: rollups, month rollups, retired rollups."""

from typing import Any

from sqlalchemy import Column

from metering.storage.tables.schema import integer, text

# Kinds of quantity with a separate column. Sums of any other kind are JSON in ``other_quantities``.
SUMMED_KINDS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "input_audio_tokens",
    "output_audio_tokens", "input_image_tokens", "output_image_tokens", "images", "megapixels", "video_ms", "audio_ms",
    "compute_ms", "characters", "reasoning_tokens",
)  # fmt: skip


def sum_columns() -> list[Column[Any]]:
    """Return new columns: events, the kinds of quantity, nano-USD, and the other kinds as JSON (empty for none)."""
    return [integer("events"), *map(integer, SUMMED_KINDS), integer("amount_nano"), text("other_quantities")]
