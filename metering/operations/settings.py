"""Settings from the environment: every ``METERING_*`` variable, what it means and what it is when nothing is said.

Composition reads the environment once and passes values down; nothing else looks at it.
"""

from collections.abc import Mapping

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.series import DEFAULT_SERIES_CAP
from metering.operations.ingest import IngestSettings

PREFIX = "METERING_"


class SettingsError(DomainError):
    """A ``METERING_*`` variable that can not be used, or that nobody knows."""

    code = "invalid_setting"


class Setting(Struct, frozen=True):
    """One environment variable, as the documentation shows it."""

    name: str
    default: str
    meaning: str


SETTINGS = (
    Setting("METERING_DATABASE_URL", "sqlite:///metering.db", "where everything is kept"),
    Setting("METERING_DECLARED_TAGS", "", "comma-separated tag keys that spend can be grouped by; others stay on the event"),
    Setting("METERING_SERIES_CAP", str(DEFAULT_SERIES_CAP), "how many series an account may have before new ones say (other)"),
    Setting("METERING_MAX_BODY_BYTES", str(10 * 1024 * 1024), "the largest request body the API takes"),
    Setting("METERING_MAX_BATCH_EVENTS", "10000", "the most events the API takes in one request"),
    Setting("METERING_MAX_WAITING_EVENTS", "50000", "how many events may wait for their commit before the API answers 429"),
)

_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


class Settings(Struct, frozen=True):
    """All settings, by what they configure."""

    database_url: str
    ingest: IngestSettings
    max_body_bytes: int
    max_batch_events: int
    max_waiting_events: int = 50_000


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that an environment states. Raises SettingsError naming the variable."""
    stated = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    for name in stated:
        if name not in _DEFAULTS:
            raise SettingsError(f"{name} is not a setting; there are {', '.join(_DEFAULTS)}")
    values = _DEFAULTS | stated
    tags = [tag.strip() for tag in values["METERING_DECLARED_TAGS"].split(",")]
    return Settings(
        database_url=values["METERING_DATABASE_URL"],
        ingest=IngestSettings(
            declared_tags=frozenset(tag for tag in tags if tag),
            series_cap=_positive(values, "METERING_SERIES_CAP"),
        ),
        max_body_bytes=_positive(values, "METERING_MAX_BODY_BYTES"),
        max_batch_events=_positive(values, "METERING_MAX_BATCH_EVENTS"),
        max_waiting_events=_positive(values, "METERING_MAX_WAITING_EVENTS"),
    )


def _positive(values: Mapping[str, str], name: str) -> int:
    text = values[name]
    if not text.isdecimal() or len(text) > 15 or int(text) < 1:
        raise SettingsError(f"{name} must be a whole number from 1, got {text[:40]!r}")
    return int(text)
