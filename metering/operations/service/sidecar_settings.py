"""Settings of the sidecar. Imports nothing that its lean process does not need."""

from msgspec import Struct

SYNCS = ("each", "group", "never")
SESSION_LABELS = ("", "project", "key", "user")
ROUTES = ("", "routed", "provider_key")


class SidecarSettings(Struct, frozen=True):
    """How a sidecar runs, whatever it is started with.

    ``journal`` is a folder. ``when_full``: ``forward`` requests unmetered, or ``refuse`` them, while the journal is full.
    ``when_unknown``: let requests through (``open``) or refuse them (``closed``) while budgets cannot be read. ``key_accounts``
    maps labels of keys, as events show them, to accounts. ``is_router``: the upstream stands for Hugging Face's router.
    """

    journal: str = "metering-journal"
    sync: str = "group"
    sync_ms: int = 20
    journal_bytes: int = 1024 * 1024 * 1024
    when_full: str = "forward"
    when_unknown: str = "open"
    session_per: str = ""
    is_router: bool = False
    key_accounts: dict[str, str] = {}
    max_buffered_body: int = 8 * 1024 * 1024
    max_clients: int = 2_000
    connect_seconds: int = 10
    answer_seconds: int = 600
    answer_idle_seconds: int = 300
    drain_seconds: int = 5
    shutdown_seconds: int = 30


class SidecarStart(Struct, frozen=True):
    """What a sidecar is started with. No secret is in it: it is passed on a command line.

    ``ends_with_input``: it ends when its standard input is closed, as with the server that started it.
    """

    host: str
    port: int
    upstream: str
    account: str
    service: str
    source: str
    settings: SidecarSettings
    declared_tags: list[str] = []
    log_level: int | None = None
    log_as_json: bool = False
    ends_with_input: bool = False
