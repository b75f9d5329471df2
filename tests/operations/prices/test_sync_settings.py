"""The settings of the price sync: valid values, and errors that name the setting."""

import pytest

from metering.operations.prices.sync_settings import SyncSettings
from metering.operations.service.setting_row import SettingsError
from metering.operations.service.settings import read_settings


def settings(**stated):
    return read_settings({f"METERING_{name}": value for name, value in stated.items()}).sync


def test_by_default_the_public_router_is_fetched_every_hour():
    assert settings() == SyncSettings("https://router.huggingface.co/v1", 60, 25, 10, 10)


def test_the_settings_are_read():
    found = settings(
        ROUTER_URL="https://proxy.example:8443/hf/v1/",
        SYNC_INTERVAL_MINUTES="0",
        SYNC_MAX_CHANGED_PERCENT="100",
        SYNC_MAX_VANISHED_PERCENT="99",
        SYNC_MAX_FACTOR="3",
    )
    assert found == SyncSettings("https://proxy.example:8443/hf/v1", 0, 100, 99, 3)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://[::1]:9/v1", "http://localhost/v1"])
def test_this_machine_can_be_fetched_without_encryption(url):
    assert settings(ROUTER_URL=url).router_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://router.huggingface.co/v1", "http://10.0.0.1/v1", "http://localhost.example/v1", "ftp://router/v1",
        "router.huggingface.co/v1", "https://", "https://user:secret@router/v1", "https://user@router/v1",
        "https://router/v1?token=secret", "https://router/v1#x", "https://router:port/v1", "https://[::1/v1", "",
    ],
)  # fmt: skip
def test_an_insecure_address_or_one_with_a_secret_is_refused_without_repeating_it(url):
    with pytest.raises(SettingsError, match="METERING_ROUTER_URL must") as raised:
        settings(ROUTER_URL=url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYNC_INTERVAL_MINUTES", "-1"), ("SYNC_INTERVAL_MINUTES", "hourly"), ("SYNC_INTERVAL_MINUTES", "527041"),
        ("SYNC_INTERVAL_MINUTES", "٣"), ("SYNC_MAX_CHANGED_PERCENT", "101"),
        ("SYNC_MAX_VANISHED_PERCENT", "101"), ("SYNC_MAX_FACTOR", "0"),
        ("SYNC_MAX_FACTOR", "1.5"),
    ],
)  # fmt: skip
def test_an_invalid_number_is_refused_with_its_name(name, value):
    with pytest.raises(SettingsError, match=f"METERING_{name} must be a whole number from"):
        settings(**{name: value})
