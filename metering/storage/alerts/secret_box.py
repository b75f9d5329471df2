"""Encryption at rest for secrets that the service must read again: Fernet (AES-128-CBC with HMAC-SHA256).

The key comes from the operator (METERING_SECRET_KEY). With a SQLite database and no setting, a key file readable only by its
owner is created next to the database on first use. A copy of the database alone reveals no secret.
"""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.storage.engine.database import file_of

KEY_SUFFIX = ".key"

_OWNER_ONLY = 0o600


class SecretKeyError(DomainError):
    """There is no encryption key, or it is not the key that a secret was encrypted with."""

    code = "secret_key"


class SecretBox:
    """Encrypts with the first key and decrypts with any of them: to replace a key, put the new one first."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def encrypt(self, secret: bytes) -> str:
        """Return the encrypted form to store in the database."""
        return self._fernet.encrypt(secret).decode()

    def decrypt(self, stored: str) -> bytes:
        """Return the secret. Raises SecretKeyError if none of the keys fits."""
        try:
            return self._fernet.decrypt(stored)
        except InvalidToken:
            raise SecretKeyError(
                "cannot decrypt a secret: METERING_SECRET_KEY (or the key file next to the database) has changed since it was"
                " encrypted; append the previous key to METERING_SECRET_KEY, separated by a comma"
            ) from None


def open_box(engine: Engine, keys: Sequence[str]) -> SecretBox:
    """Return the secret box of a database, with ``keys`` or the key file next to it, which is created if missing.

    Raises SecretKeyError for a database server without keys, and for an unusable key file.
    """
    if keys:
        return SecretBox(keys)
    database = file_of(engine.url)
    if database is None:
        raise SecretKeyError(
            "webhooks require METERING_SECRET_KEY, the same for every process on this database; create one with `python -c"
            " 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`"
        )
    path = database.with_name(database.name + KEY_SUFFIX)
    try:
        return SecretBox([_read_key(path)])
    except (OSError, ValueError) as error:
        raise SecretKeyError(f"the key file {path.name} next to the database is not usable: {error}") from None


def _read_key(path: Path) -> str:
    if not path.exists():
        _create_key(path)
    return path.read_text(encoding="ascii").strip()


def _create_key(path: Path) -> None:
    """Create the key file atomically. If several processes try at once, one succeeds and all read its key."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
