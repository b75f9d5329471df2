"""API keys, with scopes and optionally bound to an account. The token is shown once; only a hash of it is stored.

A token is ``hfm_<prefix>_<secret>``. The prefix identifies the key; the secret has 256 bits, so a single hash without salt or
stretching is enough.
"""

import hashlib
import hmac
import secrets

from msgspec import Struct

from metering.domain.errors import DomainError

INGEST = "ingest"
READ = "read"
ADMIN = "admin"
METRICS = "metrics"
BILLING = "billing"
SCOPES = (INGEST, READ, METRICS, BILLING, ADMIN)

_START = "hfm"


class ApiKey(Struct, frozen=True):
    """A stored key. ``account_id`` None: all accounts. The scope ``admin`` includes all others."""

    id: int
    prefix: str
    name: str
    account_id: int | None
    scopes: frozenset[str]
    creates_accounts: bool
    created_at: int
    revoked_at: int | None

    def allows(self, scope: str) -> bool:
        """Whether the key has a scope."""
        return scope in self.scopes or ADMIN in self.scopes


def new_token() -> tuple[str, str]:
    """Return a new (prefix, token)."""
    prefix = secrets.token_hex(6)
    return prefix, f"{_START}_{prefix}_{secrets.token_hex(32)}"


def prefix_of(token: str) -> str | None:
    """Return the prefix of a token; None if it is not well-formed."""
    parts = token.split("_")
    if len(parts) != 3 or parts[0] != _START or not parts[1] or not parts[2]:
        return None
    return parts[1]


def hash_of(token: str) -> bytes:
    """Return the hash of a token that is stored."""
    return hashlib.sha256(token.encode()).digest()


def matches(token: str, stored: bytes) -> bool:
    """Whether the token has the stored hash, compared in constant time."""
    return hmac.compare_digest(hash_of(token), stored)


def checked_scopes(scopes: list[str]) -> frozenset[str]:
    """Return scopes as a set. Raises DomainError for an empty list or an unknown scope."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        wrong = f"{unknown[0][:40]!r} is not a scope" if unknown else "a key needs at least one scope"
        raise DomainError(f"{wrong}; use {', '.join(SCOPES)}")
    return frozenset(scopes)
