"""Keyset cursors: where the next page starts, opaque to the client.

A cursor contains the key of the last item, so that rows that arrive between two pages neither repeat nor hide items. It belongs
to one query: with different parameters, or changed in any way, it is refused. It grants nothing, because every page is
authorized by itself.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from hashlib import blake2b

from metering.domain.texts import NUL
from metering.web.problems import ApiProblem

Key = list[int | str]

_SEAL_BYTES = 6
_MAX_LENGTH = 4096
_BEYOND_64_BITS = 2**63


def write_cursor(key: Sequence[int | str], question: object) -> str:
    """Return the cursor that continues ``question`` (any JSON value) after the item with this key."""
    content = json.dumps(list(key), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(content, question) + content).rstrip(b"=").decode()


def read_cursor(cursor: str, question: object, shape: Sequence[type]) -> Key:
    """Return the key in a cursor. Raises ApiProblem ``invalid_cursor`` for a cursor that does not belong to the question."""
    if len(cursor) > _MAX_LENGTH:
        raise _invalid()
    try:
        # Without ``validate``, b64decode skips characters outside its alphabet.
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = raw[_SEAL_BYTES:]
        key = json.loads(content)
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid() from None
    if not isinstance(key, list) or [type(part) for part in key] != list(shape):
        raise _invalid()
    if any(isinstance(part, int) and abs(part) >= _BEYOND_64_BITS for part in key):
        raise _invalid()
    if any(isinstance(part, str) and NUL in part for part in key):
        raise _invalid()
    if raw[:_SEAL_BYTES] != _seal(content, question) or write_cursor(key, question) != cursor:
        raise _invalid()
    return key


def _seal(content: bytes, question: object) -> bytes:
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":")).encode()
    return blake2b(content, digest_size=_SEAL_BYTES, key=blake2b(canonical, digest_size=32).digest()).digest()


def _invalid() -> ApiProblem:
    return ApiProblem("invalid_cursor", "pass next_cursor unchanged, with the same parameters as the first page")
