"""The result of reading a source: its price tables, and everything that was left out, with the reason.

A published price list has prices that cannot be expressed here, and gaps. What cannot be expressed is reported by name, never
guessed and never silently dropped.
"""

from enum import StrEnum

from msgspec import Struct

from pricing.tables import PriceTable


class SkipReason(StrEnum):
    """Stable codes for why something was left out."""

    NO_PRICE = "no_price"
    ZERO_PRICE = "zero_price"
    CONTRADICTION = "contradiction"
    UNKNOWN_KEY = "unknown_key"
    UNMETERED = "unmetered"
    VARIANT = "variant"
    CONDITION = "condition"
    TOO_PRECISE = "too_precise"
    NOT_A_MODEL = "not_a_model"
    NOT_A_PARTNER = "not_a_partner"
    GUESSED_BY_SOURCE = "guessed_by_source"


class SkippedEntry(Struct, frozen=True):
    """An entry of a source that was left out, or a part of one.

    ``entry`` is the source's own name for it. If ``whole``, the entry has no price at all; otherwise it is priced, and
    ``detail`` names the missing part.
    """

    entry: str
    reason: SkipReason
    detail: str
    whole: bool = True


class SourceReport(Struct, frozen=True):
    """The tables of a source, and what was left out, both in a deterministic order."""

    tables: tuple[PriceTable, ...]
    left_out: tuple[SkippedEntry, ...] = ()
