"""Values as messages show them: spelt as their record, sheet or list spelt them, never as Python does, and short."""

_DEEPEST = 2
_MOST = 8


def excerpt(value: object, longest: int = 60) -> str:
    """Return a value in at most ``longest`` characters."""
    text = _spelt(value, 0)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _spelt(value: object, depth: int) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(str(value))
        case list() | tuple() if depth < _DEEPEST:
            return f"[{_joined([_spelt(item, depth + 1) for item in value[: _MOST + 1]])}]"
        case dict() if depth < _DEEPEST:
            named = [f"{_spelt(name, depth + 1)}: {_spelt(each, depth + 1)}" for name, each in list(value.items())[: _MOST + 1]]
            return f"{{{_joined(named)}}}"
        case list() | tuple() | dict():
            return "..."
        case _:
            return str(value)


def _joined(parts: list[str]) -> str:
    return ", ".join(parts if len(parts) <= _MOST else [*parts[:_MOST], "..."])
