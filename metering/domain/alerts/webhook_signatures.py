"""Standard Webhooks signatures (https://www.standardwebhooks.com): HMAC-SHA256 of ``id.timestamp.body`` with a shared secret.

While a secret is being replaced, a message has one signature per valid secret.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"
_SECRET_BYTES = 32  # the specification allows 24 to 64
_MESSAGE_PREFIX = "msg_"
_MESSAGE_BYTES = 16


def new_secret() -> bytes:
    """Return a new secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def format_secret(secret: bytes) -> str:
    """Return a secret in the format that receivers expect."""
    return _PREFIX + base64.b64encode(secret).decode()


def new_message_id() -> str:
    """Return a new ``webhook-id``."""
    return _MESSAGE_PREFIX + secrets.token_hex(_MESSAGE_BYTES)


def signed_headers(message_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Return the headers of a message sent at ``timestamp`` (seconds since 1970), signed with each of ``keys``."""
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(key, content)}" for key in keys),
    }


def _signature(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
