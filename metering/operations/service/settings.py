"""Settings from the environment: each ``METERING_*`` variable is one row of SETTINGS, and only there.

Reading, ``docs/settings.md`` and errors come from these rows. Composition reads the environment once and passes values down;
nothing else looks at it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from metering.domain.nearest_name import nearest_name
from metering.domain.usage.series import DEFAULT_SERIES_CAP
from metering.operations.alerts.webhook_settings import WebhookSettings, guard_of
from metering.operations.credits.evaluate_credits import DEFAULT_LOW_PERCENT
from metering.operations.prices.sync_settings import SyncSettings
from metering.operations.reconciliation.reconcile_settings import ReconcileSettings
from metering.operations.service.logs import LEVELS, LogSettings
from metering.operations.service.setting_kinds import (
    ADDRESS,
    DATABASE_URL,
    HOSTS,
    KEYS,
    NAMES,
    NETWORKS,
    TEXT,
    TOLERANCES,
    YES_NO,
    choice,
    whole_number,
)
from metering.operations.service.setting_row import Setting, SettingsError
from metering.operations.service.sidecar_rows import SIDECAR_SETTINGS
from metering.operations.service.sidecar_settings import SidecarSettings
from metering.operations.statements.close_settings import CloseSettings
from metering.operations.usage.ingest import IngestSettings

PREFIX = "METERING_"
MAX_INTERVAL_MINUTES = 366 * 24 * 60
MAX_FACTOR = 1_000_000
MAX_GRACE_HOURS = 366 * 24

_SYNC, _CLOSE, _RECONCILE = SyncSettings(), CloseSettings(), ReconcileSettings()
_PERCENT = whole_number(0, 100)

SETTINGS: tuple[Setting[Any], ...] = (
    Setting(
        "METERING_DATABASE_URL", "database_url", DATABASE_URL, "sqlite:///metering.db",
        "The database: a SQLite file, or `postgresql://user:password@host/name`.", secret=True,
    ),
    Setting(
        "METERING_DECLARED_TAGS", "ingest.declared_tags", NAMES, frozenset(),
        "Tags that spend can be grouped by. Other tags stay on the event.",
    ),
    Setting(
        "METERING_SERIES_CAP", "ingest.series_cap", whole_number(1), DEFAULT_SERIES_CAP,
        "Maximum number of series per account. Beyond it, new combinations are grouped as `(other)`.",
    ),
    Setting(
        "METERING_LOG_LEVEL", "logs.level", choice(LEVELS), None,
        "The least severe level that is logged. Default: `INFO` for `serve`, `WARNING` for other commands.",
    ),
    Setting(
        "METERING_LOG_FORMAT", "logs.as_json", choice({"text": False, "json": True}), False,  # noqa: FBT003
        "How log lines are written: `text`, or `json` with one object per line.",
    ),
    Setting(
        "METERING_MAX_BODY_BYTES", "max_body_bytes", whole_number(1), 10 * 1024 * 1024,
        "Largest request body that the API accepts.",
    ),
    Setting(
        "METERING_MAX_BATCH_EVENTS", "max_batch_events", whole_number(1), 10_000,
        "Maximum number of events that the API accepts in one request.",
    ),
    Setting(
        "METERING_MAX_WAITING_EVENTS", "max_waiting_events", whole_number(1), 50_000,
        "Maximum number of events that may wait for their commit, per worker, before the API answers 429.",
    ),
    Setting(
        "METERING_CLOSE_AUTOMATICALLY", "close.automatic", YES_NO, _CLOSE.automatic,
        "Whether `serve` closes months when they are due. `no`: only `statements close` does.",
    ),
    Setting(
        "METERING_CLOSE_GRACE_HOURS", "close.grace_hours", whole_number(0, MAX_GRACE_HOURS), _CLOSE.grace_hours,
        "How long a month stays open for late events, after its end and after the account's first ingest.",
    ),
    Setting(
        "METERING_CREDITS_LOW_PERCENT", "credits_low_percent", whole_number(0, 99), DEFAULT_LOW_PERCENT,
        "Raise `credits.low` when at most this share of a month's credits is left.",
    ),
    Setting(
        "METERING_METRICS_ACCESS", "open_metrics", choice({"key": False, "open": True}), False,  # noqa: FBT003
        "Who may read `/metrics`. `key`: a key with the scope `metrics`; `open`: anyone who can reach the port.",
    ),
    Setting(
        "METERING_ROUTER_URL", "sync.router_url", ADDRESS, _SYNC.router_url,
        "The router that prices are fetched from (`/models`). No token is sent.",
    ),
    Setting(
        "METERING_SYNC_INTERVAL_MINUTES", "sync.interval_minutes", whole_number(0, MAX_INTERVAL_MINUTES),
        _SYNC.interval_minutes, "How often `serve` fetches the router's prices. 0: never.",
    ),
    Setting(
        "METERING_SYNC_MAX_CHANGED_PERCENT", "sync.max_changed_percent", _PERCENT, _SYNC.max_changed_percent,
        "A sync that changes the prices of more than this share of the models is pending until `prices accept`.",
    ),
    Setting(
        "METERING_SYNC_MAX_VANISHED_PERCENT", "sync.max_vanished_percent", _PERCENT, _SYNC.max_vanished_percent,
        "A sync that leaves more than this share of the models without a price is pending until `prices accept`.",
    ),
    Setting(
        "METERING_SYNC_MAX_FACTOR", "sync.max_factor", whole_number(1, MAX_FACTOR), _SYNC.max_factor,
        "A sync that multiplies or divides a price by more than this is pending until `prices accept`.",
    ),
    Setting(
        "METERING_SECRET_KEY", "webhooks.secret_keys", KEYS, (),
        "Keys that encrypt webhook secrets. The first one encrypts; all of them decrypt.", secret=True,
    ),
    Setting("METERING_WEBHOOK_HTTP_HOSTS", "webhooks.http_hosts", HOSTS, (), "Hosts that webhooks may reach over http."),
    Setting(
        "METERING_WEBHOOK_PRIVATE_HOSTS", "webhooks.private_hosts", NETWORKS, (),
        "Hosts and networks that webhooks may reach although they are not on the public internet.",
    ),
    Setting(
        "METERING_RECONCILE_TOLERANCE", "reconcile.tolerances", TOLERANCES, _RECONCILE.tolerances,
        "How much a bill may differ in total: dollars, or after `/` a share of the bill if that is more. `csv=` in front limits"
        " it to that format (`0.01/0.1%,csv=0.05`).",
    ),
    Setting(
        "METERING_BILLING_URL", "reconcile.billing_url", ADDRESS, _RECONCILE.billing_url,
        "Hugging Face's API, which is asked what it bills. The token is `HF_TOKEN` of the environment and is not stored.",
    ),
    Setting(
        "METERING_FETCH_ACCOUNT", "reconcile.fetch_account", TEXT, _RECONCILE.fetch_account,
        "The account whose bill `serve` fetches and reconciles. Empty: none.",
    ),
    Setting(
        "METERING_FETCH_INTERVAL_HOURS", "reconcile.fetch_hours", whole_number(1, MAX_INTERVAL_MINUTES // 60),
        _RECONCILE.fetch_hours, "How often `serve` fetches that bill.",
    ),
    *SIDECAR_SETTINGS,
)  # fmt: skip


class Settings(Struct, frozen=True):
    """All settings, by what they configure."""

    database_url: str
    ingest: IngestSettings
    max_body_bytes: int
    max_batch_events: int
    max_waiting_events: int
    open_metrics: bool
    sync: SyncSettings
    reconcile: ReconcileSettings
    close: CloseSettings
    credits_low_percent: int
    webhooks: WebhookSettings
    logs: LogSettings
    sidecar: SidecarSettings
    sidecar_service_key: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of an environment. Raises SettingsError naming the variable."""
    _refuse_unknown(environment)
    groups: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for setting in SETTINGS:
        group, _, field = setting.field.rpartition(".")
        groups[group][field] = setting.value_in(environment)
    return Settings(**groups.pop(""), **{name: _GROUPS[name](**fields) for name, fields in groups.items()})


def _webhooks(secret_keys: tuple[str, ...], http_hosts: tuple[str, ...], private_hosts: tuple[str, ...]) -> WebhookSettings:
    return WebhookSettings(secret_keys, guard_of(list(http_hosts), list(private_hosts)))


_GROUPS: dict[str, Callable[..., Any]] = {
    "ingest": IngestSettings,
    "sync": SyncSettings,
    "reconcile": ReconcileSettings,
    "close": CloseSettings,
    "webhooks": _webhooks,
    "logs": LogSettings,
    "sidecar": SidecarSettings,
}


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = [setting.name for setting in SETTINGS]
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            nearest = nearest_name(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known])
            hint = f"the settings are {', '.join(known)}" if nearest is None else f"did you mean {PREFIX}{nearest}?"
            raise SettingsError(f"{name} is not a setting; {hint}")
