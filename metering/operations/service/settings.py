"""Settings from the environment: every ``METERING_*`` variable, what it means and what it is when nothing is said.

Composition reads the environment once and passes values down; nothing else looks at it.
"""

import base64
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.reconciliation.variances import Tolerance
from metering.domain.usage.series import DEFAULT_SERIES_CAP
from metering.operations.alerts.webhook_settings import WebhookSettings, guard_of
from metering.operations.credits.evaluate_credits import DEFAULT_LOW_PERCENT
from metering.operations.prices.sync_settings import SyncSettings
from metering.operations.reconciliation.reconcile_settings import DEFAULT_TOLERANCE, ReconcileSettings, read_tolerances
from metering.operations.statements.close_settings import CloseSettings
from metering.operations.usage.ingest import IngestSettings

PREFIX = "METERING_"
MAX_INTERVAL_MINUTES = 366 * 24 * 60
MAX_FACTOR = 1_000_000
MAX_GRACE_HOURS = 366 * 24
_KEY_BYTES = 32


class SettingsError(DomainError):
    """A ``METERING_*`` variable that can not be used, or that nobody knows."""

    code = "invalid_setting"


class Setting(Struct, frozen=True):
    """One environment variable, as the documentation shows it."""

    name: str
    default: str
    meaning: str


SETTINGS = (
    Setting(
        "METERING_DATABASE_URL",
        "sqlite:///metering.db",
        "where everything is kept: a SQLite file, or `postgresql://user:password@host/name`",
    ),
    Setting("METERING_DECLARED_TAGS", "", "comma-separated tag keys that spend can be grouped by; others stay on the event"),
    Setting("METERING_SERIES_CAP", str(DEFAULT_SERIES_CAP), "how many series an account may have before new ones say (other)"),
    Setting("METERING_MAX_BODY_BYTES", str(10 * 1024 * 1024), "the largest request body the API takes"),
    Setting("METERING_MAX_BATCH_EVENTS", "10000", "the most events the API takes in one request"),
    Setting("METERING_MAX_WAITING_EVENTS", "50000", "how many events may wait for their commit before the API answers 429"),
    Setting("METERING_CLOSE_AUTOMATICALLY", "yes", "whether `serve` closes months that are due; `no`: only by hand"),
    Setting(
        "METERING_CLOSE_GRACE_HOURS",
        str(CloseSettings().grace_hours),
        "how long after its end, and after the account's first events, a month stays open for late ones",
    ),
    Setting(
        "METERING_CREDITS_LOW_PERCENT",
        str(DEFAULT_LOW_PERCENT),
        "`credits.low` is raised when at most this share of a month's credits is left",
    ),
    Setting(
        "METERING_METRICS_ACCESS",
        "key",
        "who may read `/metrics`: `key`, one with the scope `metrics`; `open`, whoever reaches the port",
    ),
    Setting(
        "METERING_ROUTER_URL", SyncSettings().router_url, "the router whose `/models` says what requests cost; no token is sent"
    ),
    Setting(
        "METERING_SYNC_INTERVAL_MINUTES",
        str(SyncSettings().interval_minutes),
        "how often `serve` fetches the router's prices by itself; 0: never",
    ),
    Setting(
        "METERING_SYNC_MAX_CHANGED_PERCENT",
        str(SyncSettings().max_changed_percent),
        "a sync that changes the prices of more than this share of the models waits for `prices accept`",
    ),
    Setting(
        "METERING_SYNC_MAX_VANISHED_PERCENT",
        str(SyncSettings().max_vanished_percent),
        "a sync that leaves more than this share of the models without a price waits for `prices accept`",
    ),
    Setting(
        "METERING_SYNC_MAX_FACTOR",
        str(SyncSettings().max_factor),
        "a sync that multiplies or divides a price by more than this waits for `prices accept`",
    ),
    Setting(
        "METERING_SECRET_KEY",
        "",
        "what secrets of webhooks are encrypted with; several are separated by commas, and the first one writes",
    ),
    Setting("METERING_WEBHOOK_HTTP_HOSTS", "", "comma-separated hosts that webhooks may reach by http"),
    Setting(
        "METERING_WEBHOOK_PRIVATE_HOSTS",
        "",
        "comma-separated hosts and networks that webhooks may reach though they are not on the public internet",
    ),
    Setting(
        "METERING_RECONCILE_TOLERANCE",
        DEFAULT_TOLERANCE,
        "dollars that a bill may differ by in all, or with `/` a share of it where that is more; `csv=` before it: for that"
        " kind of document (`0.01/0.1%,csv=0.05`)",
    ),
    Setting(
        "METERING_BILLING_URL",
        ReconcileSettings().billing_url,
        "where Hugging Face is asked what it bills; the token is `HF_TOKEN` of the environment, and is kept nowhere",
    ),
    Setting("METERING_FETCH_ACCOUNT", "", "the account whose bill `serve` fetches and reconciles by itself; empty: none"),
    Setting("METERING_FETCH_INTERVAL_HOURS", str(ReconcileSettings().fetch_hours), "how often it does"),
)

_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


class Settings(Struct, frozen=True):
    """All settings, by what they configure."""

    database_url: str
    ingest: IngestSettings
    max_body_bytes: int
    max_batch_events: int
    max_waiting_events: int = 50_000
    open_metrics: bool = False
    sync: SyncSettings = SyncSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    close: CloseSettings = CloseSettings()
    credits_low_percent: int = DEFAULT_LOW_PERCENT
    webhooks: WebhookSettings = WebhookSettings()


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that an environment states. Raises SettingsError naming the variable."""
    stated = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    for name in stated:
        if name not in _DEFAULTS:
            raise SettingsError(f"{name} is not a setting; there are {', '.join(_DEFAULTS)}")
    values = _DEFAULTS | stated
    return Settings(
        database_url=values["METERING_DATABASE_URL"],
        ingest=IngestSettings(
            declared_tags=frozenset(_listed(values, "METERING_DECLARED_TAGS")),
            series_cap=_positive(values, "METERING_SERIES_CAP"),
        ),
        max_body_bytes=_positive(values, "METERING_MAX_BODY_BYTES"),
        max_batch_events=_positive(values, "METERING_MAX_BATCH_EVENTS"),
        max_waiting_events=_positive(values, "METERING_MAX_WAITING_EVENTS"),
        open_metrics=_one_of(values, "METERING_METRICS_ACCESS", ("key", "open")) == "open",
        sync=SyncSettings(
            router_url=_address(values, "METERING_ROUTER_URL"),
            interval_minutes=_whole(values, "METERING_SYNC_INTERVAL_MINUTES", 0, MAX_INTERVAL_MINUTES),
            max_changed_percent=_whole(values, "METERING_SYNC_MAX_CHANGED_PERCENT", 0, 100),
            max_vanished_percent=_whole(values, "METERING_SYNC_MAX_VANISHED_PERCENT", 0, 100),
            max_factor=_whole(values, "METERING_SYNC_MAX_FACTOR", 1, MAX_FACTOR),
        ),
        reconcile=ReconcileSettings(
            tolerances=_tolerances(values["METERING_RECONCILE_TOLERANCE"]),
            billing_url=_address(values, "METERING_BILLING_URL"),
            fetch_account=values["METERING_FETCH_ACCOUNT"],
            fetch_hours=_whole(values, "METERING_FETCH_INTERVAL_HOURS", 1, MAX_INTERVAL_MINUTES // 60),
        ),
        close=CloseSettings(
            automatic=_yes_or_no(values, "METERING_CLOSE_AUTOMATICALLY"),
            grace_hours=_whole(values, "METERING_CLOSE_GRACE_HOURS", 0, MAX_GRACE_HOURS),
        ),
        credits_low_percent=_whole(values, "METERING_CREDITS_LOW_PERCENT", 0, 99),
        webhooks=_webhooks(values),
    )


def _webhooks(values: Mapping[str, str]) -> WebhookSettings:
    keys = _listed(values, "METERING_SECRET_KEY")
    if not all(_is_key(key) for key in keys):
        # Never the value: it is the secret.
        raise SettingsError("METERING_SECRET_KEY must be 32 bytes in URL-safe base64, or several of them, separated by commas")
    try:
        private = _listed(values, "METERING_WEBHOOK_PRIVATE_HOSTS")
        guard = guard_of(_listed(values, "METERING_WEBHOOK_HTTP_HOSTS"), private)
    except DomainError as error:
        raise SettingsError(f"METERING_WEBHOOK_PRIVATE_HOSTS: {error}") from None
    return WebhookSettings(tuple(keys), guard)


def _listed(values: Mapping[str, str], name: str) -> list[str]:
    return [item.strip() for item in values[name].split(",") if item.strip()]


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, altchars=b"-_", validate=True)) == _KEY_BYTES
    except ValueError:
        return False


def _positive(values: Mapping[str, str], name: str) -> int:
    text = values[name]
    if not text.isdecimal() or len(text) > 15 or int(text) < 1:
        raise SettingsError(f"{name} must be a whole number from 1, got {text[:40]!r}")
    return int(text)


def _whole(values: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = values[name]
    if not (text.isascii() and text.isdecimal()) or len(text) > 15 or not least <= int(text) <= most:
        raise SettingsError(f"{name} must be a whole number from {least} to {most}, got {text[:40]!r}")
    return int(text)


def _tolerances(text: str) -> dict[str, Tolerance]:
    try:
        return read_tolerances(text)
    except DomainError as error:
        raise SettingsError(f"METERING_RECONCILE_TOLERANCE: {error}") from None


def _yes_or_no(values: Mapping[str, str], name: str) -> bool:
    text = values[name]
    if text not in ("yes", "no"):
        raise SettingsError(f"{name} must be yes or no, got {text[:40]!r}")
    return text == "yes"


def _one_of(values: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    text = values[name]
    if text not in known:
        raise SettingsError(f"{name} must be {' or '.join(known)}, got {text[:40]!r}")
    return text


def _address(values: Mapping[str, str], name: str) -> str:
    """Return an address without a slash at its end. Nothing in it may be a secret: it is shown in errors."""
    text = values[name]
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if host is None or url.query or url.fragment or url.username is not None or url.password is not None:
        raise SettingsError(f"{name} must be an address such as {_DEFAULTS[name]}, and no more")
    if url.scheme != "https" and not (url.scheme == "http" and _is_this_machine(host)):
        raise SettingsError(f"{name} must begin with https://; http:// is taken for this machine only")
    return text.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
