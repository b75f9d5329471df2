"""Which characters a stored text may contain: databases cannot store NUL, and names and reasons need no control characters."""

from unicodedata import category

NUL = "\0"
_CONTROL = ("Cc", "Cs")


def control_character(text: str) -> str:
    """Return the first control character or lone surrogate of a text as ``U+0000``; empty if it has none."""
    if text.isprintable():
        return ""
    return next((f"U+{ord(letter):04X}" for letter in text if category(letter) in _CONTROL), "")


def replace_control_characters(text: str) -> str:
    """Return the text with each control character replaced by U+FFFD, so that it can be stored and shown."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if category(letter) in _CONTROL else letter for letter in text)
