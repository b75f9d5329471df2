"""There is at most one alert per type, subject, period and threshold, permanently."""

import json
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from metering.storage.alerts.alerts import NewAlert, insert_alert, list_alerts
from metering.storage.engine.database import exclusive_write, read_snapshot
from support.builders import NOW


def alert(**fields):
    given: dict[str, Any] = {"type": "price.changed", "subject": "price_table:1", "occurred_at": NOW, "data": "{}"}
    return NewAlert(**given | fields)


@pytest.fixture
def raised(meter):
    def call(**fields):
        with exclusive_write(meter.engine) as connection:
            return insert_alert(connection, alert(**fields), now=NOW + 1)

    return call


def listed(meter, **options):
    with read_snapshot(meter.engine) as connection:
        return list_alerts(connection, **{"type_": None, "account_id": None, "before": None, "limit": 100} | options)


def test_the_same_alert_is_not_inserted_again(meter, raised):
    assert raised(data=json.dumps({"first": True}))
    assert not raised(data=json.dumps({"first": False}), occurred_at=NOW + 5)
    (row,) = listed(meter)
    assert (row.data, row.occurred_at, row.recorded_at) == ('{"first": true}', NOW, NOW + 1)


@pytest.mark.parametrize("other", [{"type": "b"}, {"subject": "b"}, {"period": "2026-11"}, {"threshold": 80}])
def test_a_different_type_subject_period_or_threshold_is_another_alert(meter, raised, other):
    assert raised()
    assert raised(**other)
    assert len(listed(meter)) == 2


def test_alerts_are_listed_newest_first_by_type_account_and_page(meter, raised):
    raised(subject="a")
    raised(subject="b", type="other", account_id=1)
    raised(subject="c", account_id=1)
    assert [row.subject for row in listed(meter)] == ["c", "b", "a"]
    assert [row.subject for row in listed(meter, type_="price.changed")] == ["c", "a"]
    assert [row.subject for row in listed(meter, account_id=1)] == ["c", "b"]
    assert [row.subject for row in listed(meter, limit=2)] == ["c", "b"]
    assert [row.subject for row in listed(meter, before=2)] == ["a"]


@pytest.mark.parametrize("fields", [{"type": ""}, {"subject": ""}, {"account_id": 999}])
def test_an_alert_without_type_or_subject_or_of_an_unknown_account_is_refused_by_the_database(raised, fields):
    with pytest.raises(IntegrityError):
        raised(**fields)
