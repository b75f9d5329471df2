"""An endpoint receives the alerts that it asks for, and never those of another account."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.alerts.alert_types import ALERT_TYPES
from metering.domain.alerts.webhooks import EndpointFilter, WebhookError, checked_types
from support.places import ROOT

ACME, GLOBEX = 2, 3
SPENT, PRICE = "budget.threshold_reached", "price.changed"


@pytest.mark.parametrize(
    ("account_id", "types", "accounts", "expected"),
    [
        # (about acme, about globex, about no account) for the budget alert, then the same for the price change.
        (None, (), (), "111 111"),
        (None, (SPENT,), (), "111 000"),
        (None, (), (ACME,), "100 100"),
        (None, (PRICE,), (ACME,), "000 101"),
        (ACME, (), (), "100 100"),
        (ACME, (PRICE,), (), "000 100"),
        (GLOBEX, (SPENT, PRICE), (), "010 010"),
    ],
)
def test_an_endpoint_receives_the_alerts_that_it_asks_for(account_id, types, accounts, expected):
    filter_ = EndpointFilter(account_id, frozenset(types), frozenset(accounts))
    matches = ["".join(str(int(filter_.matches(type_, about))) for about in (ACME, GLOBEX, None)) for type_ in (SPENT, PRICE)]
    assert " ".join(matches) == expected


@given(
    types=st.frozensets(st.sampled_from([SPENT, PRICE])),
    type_=st.sampled_from([SPENT, PRICE]),
    about=st.sampled_from([None, ACME, GLOBEX]),
)
def test_an_account_s_endpoint_never_receives_alerts_of_others(types, type_, about):
    assert not EndpointFilter(ACME, types).matches(type_, about) or about == ACME


def test_an_unknown_type_is_refused_by_name():
    assert checked_types([SPENT, SPENT]) == {SPENT}
    with pytest.raises(WebhookError, match=r"'budget.reached'; use budget\.threshold_reached"):
        checked_types([SPENT, "budget.reached"])


@pytest.mark.parametrize("page", ["webhooks.md", "alerts.md"])
def test_every_type_is_documented(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert [type_ for type_ in ALERT_TYPES if f"| `{type_}` |" not in text] == []


def test_every_type_in_the_code_is_listed():
    """No endpoint could filter by a type that is not listed."""
    families = {type_.partition(".")[0] for type_ in ALERT_TYPES}
    named = {
        (path.name, value)
        for path in (ROOT / "metering").rglob("*.py")
        for value in re.findall(r'^[A-Z_]+ = "([a-z]+\.[a-z_]+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
        if value.partition(".")[0] in families
    }
    assert {value for _, value in named} - ALERT_TYPES.keys() == {"webhook.test"}
