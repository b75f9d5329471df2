"""Signatures as Standard Webhooks has them: HMAC-SHA256 over ``id.timestamp.body``, by a secret that both sides know.

https://www.standardwebhooks.com. While a secret is being replaced a message carries a signature by each that is valid.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"
_SECRET_BYTES = 32  # the specification: 24 to 64
_MESSAGE_PREFIX = "msg_"
_MESSAGE_BYTES = 16


def new_secret() -> bytes:
    """Return a new secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def format_secret(secret: bytes) -> str:
    """Write a secret as receivers take it."""
    return _PREFIX + base64.b64encode(secret).decode()


def new_message_id() -> str:
    """Return a new ``webhook-id``."""
    return _MESSAGE_PREFIX + secrets.token_hex(_MESSAGE_BYTES)


def signed_headers(message_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Return the three headers of a message that is sent at ``timestamp`` (seconds since 1970), signed by each of ``keys``."""
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(key, content)}" for key in keys),
    }


def _signature(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
