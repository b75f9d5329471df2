"""Values in messages: short, and written as in JSON or YAML, not as in Python."""

_MAX_DEPTH = 2
_MAX_ITEMS = 8


def excerpt(value: object, longest: int = 60) -> str:
    """Return a value in at most ``longest`` characters."""
    text = _text(value, 0)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _text(value: object, depth: int) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(str(value))
        case list() | tuple() if depth < _MAX_DEPTH:
            items = [_text(item, depth + 1) for item in value[: _MAX_ITEMS + 1]]
            return f"[{_joined(items)}]"
        case dict() if depth < _MAX_DEPTH:
            pairs = list(value.items())[: _MAX_ITEMS + 1]
            return f"{{{_joined([f'{_text(name, depth + 1)}: {_text(each, depth + 1)}' for name, each in pairs])}}}"
        case list() | tuple() | dict():
            return "..."
        case _:
            return str(value)


def _joined(parts: list[str]) -> str:
    return ", ".join(parts if len(parts) <= _MAX_ITEMS else [*parts[:_MAX_ITEMS], "..."])
