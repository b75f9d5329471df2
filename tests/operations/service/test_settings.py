"""Each setting is one row: it is read into its group, refused with its name, value and what is allowed, and documented."""

import base64

import pytest
from msgspec.structs import fields

from metering.domain.reconciliation.variances import Tolerance
from metering.operations.alerts.webhook_settings import WebhookSettings
from metering.operations.prices.sync_settings import SyncSettings
from metering.operations.reconciliation.reconcile_settings import ReconcileSettings
from metering.operations.service.setting_row import SettingsError
from metering.operations.service.settings import SETTINGS, Settings, read_settings
from metering.operations.statements.close_settings import CloseSettings
from metering.operations.usage.ingest import IngestSettings

KEY = base64.urlsafe_b64encode(bytes(32)).decode()
BY_NAME = {setting.name: setting for setting in SETTINGS}


def settings(**values):
    return read_settings({f"METERING_{name}": value for name, value in values.items()})


def refused(**values):
    with pytest.raises(SettingsError) as raised:
        settings(**values)
    return str(raised.value)


def test_the_defaults_are_those_of_the_groups():
    read = settings()
    assert (read.sync, read.close, read.reconcile) == (SyncSettings(), CloseSettings(), ReconcileSettings())
    assert (read.ingest, read.webhooks) == (IngestSettings(), WebhookSettings())
    assert (read.database_url, read.open_metrics, read.credits_low_percent) == ("sqlite:///metering.db", False, 20)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_default_is_read_from_its_own_text(setting):
    if setting.default_text:
        assert setting.value_in({setting.name: setting.default_text}) == setting.default


def test_every_field_of_every_group_is_set_by_one_row():
    rows = sorted(setting.field for setting in SETTINGS)
    assert len(set(rows)) == len(rows)
    expected = set()
    for field in fields(Settings):
        inner = fields(field.type) if hasattr(field.type, "__struct_fields__") else ()
        expected |= {f"{field.name}.{each.name}" for each in inner} or {field.name}
    expected = expected - {"webhooks.guard"} | {"webhooks.http_hosts", "webhooks.private_hosts"}  # both make the guard
    assert set(rows) == expected


def test_values_go_to_their_groups():
    read = settings(
        DECLARED_TAGS="team, user,",
        SERIES_CAP="7",
        CLOSE_AUTOMATICALLY="no",
        METRICS_ACCESS="open",
        SECRET_KEY=f"{KEY},{KEY}",
        WEBHOOK_HTTP_HOSTS="Example.test",
        WEBHOOK_PRIVATE_HOSTS="inner.test,10.1.0.0/16",
        RECONCILE_TOLERANCE="0.02/0.1%,csv=0.05",
        FETCH_ACCOUNT="acme",
    )
    assert read.ingest == IngestSettings(frozenset({"team", "user"}), 7)
    assert (read.close.automatic, read.open_metrics, read.reconcile.fetch_account) == (False, True, "acme")
    assert read.webhooks.secret_keys == (KEY, KEY)
    assert read.webhooks.guard.http_hosts == {"example.test"}
    assert [str(network) for network in read.webhooks.guard.private_networks] == ["10.1.0.0/16"]
    assert read.reconcile.tolerances == {"": Tolerance(20_000_000, 1_000), "csv": Tolerance(50_000_000)}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SERIES_CAP", "0", "a whole number from 1"),
        ("SERIES_CAP", "1" * 16, "a whole number from 1"),
        ("MAX_BODY_BYTES", "٣", "a whole number from 1"),
        ("CREDITS_LOW_PERCENT", "100", "a whole number from 0 to 99"),
        ("CLOSE_AUTOMATICALLY", "true", "yes or no"),
        ("METRICS_ACCESS", "all", "key or open"),
        ("RECONCILE_TOLERANCE", "csv", "dollars (0.01)"),
        ("WEBHOOK_PRIVATE_HOSTS", "10.1.0.0/99", "hosts and networks"),
    ],
)
def test_an_error_names_the_variable_the_value_and_what_is_allowed(name, value, allowed):
    message = refused(**{name: value})
    assert message.startswith(f"METERING_{name} must be {allowed}")
    assert f"got {value!r}" in message


@pytest.mark.parametrize("name", ["SECRET_KEY", "ROUTER_URL", "BILLING_URL"])
def test_an_error_never_repeats_what_may_be_a_secret(name):
    message = refused(**{name: "https://user:hunter2@host/"})
    assert message.startswith(f"METERING_{name} must be ")
    assert "hunter2" not in message


def test_secrets_are_marked():
    assert {setting.name for setting in SETTINGS if setting.secret} == {
        "METERING_DATABASE_URL",
        "METERING_SECRET_KEY",
        "METERING_SIDECAR_SERVICE_KEY",
    }


def test_an_unknown_variable_suggests_the_nearest_or_lists_all():
    assert refused(SERIS_CAP="1") == "METERING_SERIS_CAP is not a setting; did you mean METERING_SERIES_CAP?"
    message = refused(COLOUR="1")
    assert all(name in message for name in BY_NAME)
