"""Entity tags: a client that already has a document gets it again only if it changed (RFC 9110, sections 8.8.3, 13.1.2)."""

import re

ANY = "*"
_TAG = re.compile(r'(?:W/)?"([^"]*)"')


def parse_if_none_match(if_none_match: str | None) -> frozenset[str]:
    """Return the tags of an ``If-None-Match`` header, for weak comparison; ANY for ``*``."""
    if if_none_match is None:
        return frozenset()
    if if_none_match.strip() == ANY:
        return frozenset({ANY})
    return frozenset(_TAG.findall(if_none_match))


def etag(tag: str) -> str:
    """Return a strong tag in the form of the header."""
    return f'"{tag}"'
