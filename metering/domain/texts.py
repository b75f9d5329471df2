"""Which texts can be kept: a NUL is kept by no database, and other control characters belong into no name and no reason."""

from unicodedata import category

NUL = "\0"


def control_character(text: str) -> str:
    """Return the first control character, or half a surrogate pair, of a text as ``U+0000``; empty where there is none."""
    if text.isprintable():
        return ""
    return next((f"U+{ord(letter):04X}" for letter in text if category(letter) in ("Cc", "Cs")), "")
