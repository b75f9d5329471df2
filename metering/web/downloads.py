"""The Content-Disposition of a file: its name in a form that every client can save (RFC 6266, RFC 8187)."""

from urllib.parse import quote

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


def disposition(name: str, *, shown: bool = False) -> str:
    """Return the ``Content-Disposition`` of a file; ``shown`` in the browser instead of saved."""
    plain = "".join(letter if letter in _SAFE else "_" for letter in name)
    return f"{'inline' if shown else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
