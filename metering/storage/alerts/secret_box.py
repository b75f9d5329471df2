"""Secrets that the service has to read again rest encrypted: Fernet of the ``cryptography`` package (AES-128-CBC, HMAC-SHA256).

The key is the operator's (METERING_SECRET_KEY), or, beside a database file, made at the first use and kept in a file of its own
that only its owner may read: a copy of the database alone tells no secret.
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
    """There is no key to encrypt with, or it is not the one that a secret was encrypted with."""

    code = "secret_key"


class SecretBox:
    """Encrypts with the first of its keys, decrypts with any: a key is replaced by putting a new one before it."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def encrypt(self, secret: bytes) -> str:
        """Return what may rest in the database."""
        return self._fernet.encrypt(secret).decode()

    def decrypt(self, stored: str) -> bytes:
        """Return the secret. Raises SecretKeyError where none of the keys is the one."""
        try:
            return self._fernet.decrypt(stored)
        except InvalidToken:
            raise SecretKeyError(
                "a secret can not be read with this key: METERING_SECRET_KEY (or the file beside the database) is another than"
                " when it was written; put the former key behind the new one, separated by a comma"
            ) from None


def open_box(engine: Engine, keys: Sequence[str]) -> SecretBox:
    """Return the box of a database: with ``keys``, or with that of the file beside it, made where there is none.

    Raises SecretKeyError where the database is a server's and no key is given, or the file can not be used.
    """
    if keys:
        return SecretBox(keys)
    database = file_of(engine.url)
    if database is None:
        raise SecretKeyError(
            "webhooks need METERING_SECRET_KEY, the same for every process on this database; `python -c 'from"
            " cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'` makes one"
        )
    path = database.with_name(database.name + KEY_SUFFIX)
    try:
        return SecretBox([_key_in(path)])
    except (OSError, ValueError) as error:
        raise SecretKeyError(f"{path.name} beside the database is not a key that can be used: {error}") from None


def _key_in(path: Path) -> str:
    if not path.exists():
        _make(path)
    return path.read_text(encoding="ascii").strip()


def _make(path: Path) -> None:
    """Write a new key. Of several at once one does, and all read the same; the file appears whole or not at all."""
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
