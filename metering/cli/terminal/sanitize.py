"""Text from logs and from names, made safe to show: a terminal obeys control characters that a model's name may carry."""


def sanitize(text: str) -> str:
    """Return the text with everything that can not be printed replaced, on one line."""
    return (
        text
        if text.isprintable()
        else "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    )
