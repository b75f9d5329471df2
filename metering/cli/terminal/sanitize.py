"""Text from logs, made safe to show: a model's name may contain control characters, which a terminal would obey."""


def sanitize(text: str) -> str:
    """Return the text on one line, with everything that cannot be printed replaced."""
    return (
        text
        if text.isprintable()
        else "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    )
