"""Who makes a request: project, user, tags and session from headers, and the key as a hash of which only the end is legible."""

from collections.abc import Mapping
from hashlib import blake2b

from msgspec import Struct

from metering.domain.texts import replace_control_characters
from metering.domain.usage.events import MAX_NAME_LENGTH, MAX_TAGS
from metering.sidecar.heads import RequestHead

PROJECT, USER, TAGS = b"x-metering-project", b"x-metering-user", b"x-metering-tags"
BILL_TO, SESSION = b"x-hf-bill-to", b"x-hf-session-id"
MAX_SESSION_LENGTH = 256
SESSION_TAG, USER_TAG = "session", "user"
# The session, the user, and how long the first byte took.
_OWN_TAGS = 3


class Caller(Struct, frozen=True):
    """The labels of a request, safe to store. ``account`` is empty if neither header nor key names one."""

    account: str
    project: str
    key: str
    user: str
    session: str
    tags: dict[str, str]


class Callers:
    """Reads the labels of requests.

    ``salt`` keeps the hashes of keys from being compared with those of other installations. ``key_accounts`` maps labels of
    keys to accounts. ``session_per`` (``project``, ``key``, ``user`` or empty): which label names the session of a request that
    states none, so that Hugging Face's own cost per session can be reconciled with ours.
    """

    def __init__(self, salt: bytes, account: str, key_accounts: Mapping[str, str], session_per: str) -> None:
        self._salt = salt
        self._account = account
        self._key_accounts = key_accounts
        self._session_per = session_per
        self._labels: dict[bytes, str] = {}

    def caller(self, head: RequestHead) -> Caller:
        """Return the labels of a request."""
        derived = head.derived
        if derived.caller is None:
            derived.caller = self._read(head)
        caller: Caller = derived.caller
        return caller

    def _read(self, head: RequestHead) -> Caller:
        found = {name: value for name, value in reversed(head.headers) if name in _READ}
        key = self._key_label(found.get(b"authorization") or found.get(b"x-api-key") or b"")
        project, user = _text(found.get(PROJECT)), _text(found.get(USER))
        account = _text(found.get(BILL_TO)) or self._key_accounts.get(key, self._account)
        tags = _tags(found.get(TAGS))
        if user:
            tags[USER_TAG] = user
        session = _text(found.get(SESSION))
        if not session and self._session_per:
            label = {"project": project, "key": key, "user": user}[self._session_per]
            session = label[:MAX_SESSION_LENGTH]
        if session:
            tags[SESSION_TAG] = session[:MAX_NAME_LENGTH]
        return Caller(account, project, key, user, session, tags)

    def _key_label(self, value: bytes) -> str:
        """Return ``token-`` with a hash of the token, and its last four characters.

        What begins with ``key-`` looks like a secret, and would be stored as a hash of itself.
        """
        label = self._labels.get(value)
        if label is None:
            token = value.strip()
            scheme, _, rest = token.partition(b" ")
            if scheme.lower() == b"bearer":
                token = rest.strip()
            if not token:
                return ""
            digest = blake2b(token, key=self._salt, digest_size=6).hexdigest()
            end = token[-4:].decode("ascii", "replace") if len(token) >= 16 else ""
            label = replace_control_characters(f"token-{digest}-{end}" if end else f"token-{digest}")
            if len(self._labels) >= 10_000:
                self._labels.clear()
            self._labels[value] = label
        return label


_READ = frozenset({PROJECT, USER, TAGS, BILL_TO, SESSION, b"authorization", b"x-api-key"})


def _text(value: bytes | None) -> str:
    if not value:
        return ""
    return replace_control_characters(value.decode("utf-8", "replace").strip())[:MAX_NAME_LENGTH]


def _tags(value: bytes | None) -> dict[str, str]:
    """Read ``team=search, env=prod``. A part without a name is left out."""
    tags: dict[str, str] = {}
    for part in _long_text(value).split(","):
        name, separator, text = part.partition("=")
        if separator and name.strip() and len(tags) < MAX_TAGS - _OWN_TAGS:
            tags[name.strip()[:MAX_NAME_LENGTH]] = text.strip()[:MAX_NAME_LENGTH]
    return tags


def _long_text(value: bytes | None) -> str:
    return replace_control_characters(value.decode("utf-8", "replace")) if value else ""
