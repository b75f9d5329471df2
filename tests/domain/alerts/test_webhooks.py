"""Which alerts an endpoint is sent: what it asks for, and nothing from behind another account's wall."""

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
    ("account_id", "types", "accounts", "taken"),
    [
        # (about acme, about globex, about none) for the budget's alert, then the same for the change of prices.
        (None, (), (), "111 111"),
        (None, (SPENT,), (), "111 000"),
        (None, (), (ACME,), "100 100"),
        (None, (PRICE,), (ACME,), "000 101"),
        (ACME, (), (), "100 100"),
        (ACME, (PRICE,), (), "000 100"),
        (GLOBEX, (SPENT, PRICE), (), "010 010"),
    ],
)
def test_an_endpoint_is_sent_what_it_asks_for(account_id, types, accounts, taken):
    asked = EndpointFilter(account_id, frozenset(types), frozenset(accounts))
    found = ["".join(str(int(asked.takes(type_, about))) for about in (ACME, GLOBEX, None)) for type_ in (SPENT, PRICE)]
    assert " ".join(found) == taken


@given(
    types=st.frozensets(st.sampled_from([SPENT, PRICE])),
    type_=st.sampled_from([SPENT, PRICE]),
    about=st.sampled_from([None, ACME, GLOBEX]),
)
def test_an_endpoint_of_an_account_is_never_sent_what_is_not_about_that_account(types, type_, about):
    assert not EndpointFilter(ACME, types).takes(type_, about) or about == ACME


def test_a_type_that_nobody_raises_is_refused_by_name():
    assert checked_types([SPENT, SPENT]) == {SPENT}
    with pytest.raises(WebhookError, match=r"'budget.reached'; there are budget\.threshold_reached"):
        checked_types([SPENT, "budget.reached"])


@pytest.mark.parametrize("page", ["webhooks.md", "alerts.md"])
def test_every_type_is_in_the_documentation(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert [type_ for type_ in ALERT_TYPES if f"| `{type_}` |" not in text] == []


def test_every_type_that_the_code_names_can_be_asked_for():
    """An alert of a type that is not listed could be filtered by nobody."""
    families = {type_.partition(".")[0] for type_ in ALERT_TYPES}
    named = {
        (path.name, value)
        for path in (ROOT / "metering").rglob("*.py")
        for value in re.findall(r'^[A-Z_]+ = "([a-z]+\.[a-z_]+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
        if value.partition(".")[0] in families
    }
    assert {value for _, value in named} - ALERT_TYPES.keys() == {"webhook.test"}
