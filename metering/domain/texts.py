"""Which texts can be kept: a NUL is kept by no database, and other control characters belong into no name and no reason."""

from unicodedata import category

NUL = "\0"
_CONTROL = ("Cc", "Cs")


def control_character(text: str) -> str:
    """Return the first control character, or half a surrogate pair, of a text as ``U+0000``; empty where there is none."""
    if text.isprintable():
        return ""
    return next((f"U+{ord(letter):04X}" for letter in text if category(letter) in _CONTROL), "")


def replace_control_characters(text: str) -> str:
    """Return a text from outside as it can be said again: with a replacement character for each control character."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if category(letter) in _CONTROL else letter for letter in text)
