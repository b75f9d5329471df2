"""What was read from a source: its price tables, and each thing that was left out with the reason.

A price list of other people says more than can be expressed here, and less than it should. What can not be expressed is left
out by name, never guessed and never dropped in silence.
"""

from enum import StrEnum

from msgspec import Struct

from pricing.tables import PriceTable


class SkipReason(StrEnum):
    """Why something was left out, as a stable word."""

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
    """One thing that was not taken from a source.

    ``entry`` is the source's own name of it. ``whole`` says that the entry has no price at all now; otherwise it is priced
    and ``detail`` names what of it is missing.
    """

    entry: str
    reason: SkipReason
    detail: str
    whole: bool = True


class SourceReport(Struct, frozen=True):
    """The tables of one reading of a source, and what was left out, both in a deterministic order."""

    tables: tuple[PriceTable, ...]
    left_out: tuple[SkippedEntry, ...] = ()
