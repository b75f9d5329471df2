"""``POST /v1/prices/rerate``: preview and apply."""

import pytest

from metering.storage.tables import charges, rerate_runs
from support.builders import FROM_2020, price_table, rate
from support.native_events import native

URL = "/v1/prices/rerate"
NOVEMBER = {"start": "2026-11-01", "end": "2026-12-01T00:00:00Z"}


@pytest.fixture
def overpriced(api, admin):
    """An event of acme and one of globex at 120,000 nano-USD each; then the price is corrected to twice that."""
    admin.post("/v1/events", json=[native("a"), native("b", account="globex")])
    api.meter.record_prices(price_table(rate(2_000_000, 4_000_000), effective_from=FROM_2020 + 1))
    return api.meter


def test_the_preview_shows_the_changes_and_writes_nothing(overpriced, admin):
    answer = admin.post(URL, json=NOVEMBER).json()
    amounts = {
        "before_nano_usd": 120_000, "before_usd": "0.000120000", "after_nano_usd": 240_000, "after_usd": "0.000240000",
        "difference_nano_usd": 120_000, "difference_usd": "0.000120000",
    }  # fmt: skip
    assert answer["effects"] == [
        {"account": name, "provider": "together", "model": "llama", "month": "2026-11", "events": 1, **amounts}
        for name in ("acme", "globex")
    ]
    assert (answer["applied"], answer["run"], answer["events_examined"], answer["events_kept"]) == (False, None, 2, 0)
    assert (answer["total"]["events"], answer["total"]["difference_nano_usd"]) == (2, 240_000)
    assert (overpriced.count(charges), overpriced.count(rerate_runs)) == (0, 0)


def test_apply_writes_the_changes_of_the_preview_once(overpriced, admin):
    previewed = admin.post(URL, json=NOVEMBER).json()
    order = {**NOVEMBER, "apply": True, "reason": "contract"}
    answer = admin.post(URL, json=order).json()
    assert answer.pop("run") == {
        "id": 1, "reason": "contract", "requested_at": "2026-11-23T10:00:00.000000Z",
        "finished_at": "2026-11-23T10:00:00.000000Z", "account": None, "start": "2026-11-01T00:00:00.000000Z",
        "end": "2026-12-01T00:00:00.000000Z", "provider": None, "model": None, "include_reported": False, "events_examined": 2,
        "events_changed": 2, "events_kept": 0, "before_nano_usd": 240_000, "before_usd": "0.000240000",
        "after_nano_usd": 480_000, "after_usd": "0.000480000", "difference_nano_usd": 240_000, "difference_usd": "0.000240000",
    }  # fmt: skip
    assert answer == {**{name: value for name, value in previewed.items() if name != "run"}, "applied": True}
    assert overpriced.total() == 480_000
    assert admin.post(URL, json=order).json()["effects"] == []
    assert not overpriced.violations()


def test_a_bound_key_rerates_only_its_account(overpriced, acme):
    answer = acme.post(URL, json={**NOVEMBER, "apply": True, "reason": "contract"}).json()
    assert [effect["account"] for effect in answer["effects"]] == ["acme"]
    assert overpriced.total() == 360_000
    assert acme.post(URL, json={**NOVEMBER, "account": "globex"}).status_code == 404


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"start": "yesterday"}, "invalid_time", "body.start"),
        ({"end": "2026-11-01"}, "invalid_request", "body.end"),
        ({"apply": True}, "invalid_request", "body.reason"),
        ({"apply": True, "reason": " "}, "invalid_request", "body.reason"),
        ({"apply": "yes"}, "invalid_request", "body.apply"),
    ],
)
def test_an_invalid_order_is_refused_with_the_field(overpriced, admin, change, code, field):
    answer = admin.post(URL, json=NOVEMBER | change)
    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["field"]) == (422, code, field)
    assert overpriced.count(rerate_runs) == 0
