"""API keys: who may do what, for which account. The secret is shown once and kept as a hash.

A key is ``hfm_<prefix>_<secret>``: the prefix finds the row, the secret has 256 bits, so that one hash without salt or
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
    """A key as it is stored. ``account_id`` None: all accounts. ``admin`` contains the other scopes."""

    id: int
    prefix: str
    name: str
    account_id: int | None
    scopes: frozenset[str]
    creates_accounts: bool
    created_at: int
    revoked_at: int | None

    def allows(self, scope: str) -> bool:
        """Whether the key may do what needs ``scope``."""
        return scope in self.scopes or ADMIN in self.scopes


def new_token() -> tuple[str, str]:
    """Return a new (prefix, token); the token is what its owner sends."""
    prefix = secrets.token_hex(6)
    return prefix, f"{_START}_{prefix}_{secrets.token_hex(32)}"


def prefix_of(token: str) -> str | None:
    """Return the prefix of a well-formed token, None for anything else."""
    parts = token.split("_")
    if len(parts) != 3 or parts[0] != _START or not parts[1] or not parts[2]:
        return None
    return parts[1]


def hash_of(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def matches(token: str, stored: bytes) -> bool:
    """Whether the token is the one that was hashed, in time that does not depend on where they differ."""
    return hmac.compare_digest(hash_of(token), stored)


def checked_scopes(scopes: list[str]) -> frozenset[str]:
    """Return scopes as a set. Raises DomainError for none, or one that nobody knows."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise DomainError(f"scopes are {', '.join(SCOPES)}; got {', '.join(unknown)[:80] or 'none'}")
    return frozenset(scopes)
