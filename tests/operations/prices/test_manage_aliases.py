"""Names of one's own: honored when usage is charged, when it waits and when it is re-rated; kept after they are removed."""

import pytest

from metering.domain.errors import AlreadyExistsError, NotFoundError
from metering.domain.prices.price_explanations import StatedRequest
from metering.operations.prices.explain_price import explain_price
from metering.operations.prices.manage_aliases import add_alias, list_aliases, remove_alias
from pricing.errors import InvalidAliasError
from pricing.own_names import OwnName
from pricing.quantities import Quantities
from support.builders import NOW, instant, price_table, rate, usage_event

THIRD, FOURTH = instant("2026-11-03T00:00:00Z"), instant("2026-11-04T00:00:00Z")
CENT = 10_000_000


def own(model="llama", *, since=0, until=None, name="accounts/acme/models/our-llama", provider="together"):
    return OwnName(provider=provider, name=name, model=model, valid_from=since, valid_until=until)


def add(meter, wanted, *, rate=True):
    return add_alias(meter.engine, wanted, rate=rate, now=meter.now)


def use(meter, time, *, model="accounts/acme/models/our-llama", cents=1):
    """Use cents of a model that costs $1.00 a million tokens where the name is known."""
    meter.ingest(usage_event(time=time, model=model, quantities=Quantities(input_tokens=cents * 10_000)))


def test_usage_that_waited_is_charged_and_usage_that_comes_is_rated(meter):
    use(meter, THIRD)
    assert meter.total() == 0
    change = add(meter, own())
    assert (change.is_new, change.has_price, change.charged_events, change.charged_nano) == (True, True, 1, CENT)
    # The ingester had no such name when it started.
    use(meter, FOURTH, cents=2)
    assert meter.total() == 3 * CENT
    (row,) = meter.spend(group_by=("model",))
    assert row.group == ("accounts/acme/models/our-llama",)
    assert meter.violations() == []


def test_only_usage_of_its_period_has_the_name(meter):
    add(meter, own(since=THIRD, until=FOURTH))
    for time in (THIRD - 1, THIRD, FOURTH - 1, FOURTH):
        use(meter, time)
    assert meter.total() == 2 * CENT


def test_a_removed_name_counts_no_more_but_what_it_led_to_stays(meter):
    alias = add(meter, own()).alias
    use(meter, THIRD)
    removed = remove_alias(meter.engine, alias.own_name.id, now=meter.now)
    assert (removed.is_new, removed.alias.removed_at) == (True, NOW)
    use(meter, FOURTH)
    assert meter.total() == CENT
    assert list_aliases(meter.engine) == []
    assert list_aliases(meter.engine, with_removed=True) == [removed.alias]
    assert remove_alias(meter.engine, alias.own_name.id, now=meter.now + 1).is_new is False
    with pytest.raises(NotFoundError, match="no alias 99"):
        remove_alias(meter.engine, 99, now=meter.now)
    assert meter.violations() == []


def test_re_rating_applies_a_name_that_was_corrected(meter):
    meter.record_prices(price_table(rate(3_000_000, model="qwen"), source="more"))
    alias = add(meter, own("llama")).alias
    use(meter, THIRD)
    assert meter.total() == CENT
    remove_alias(meter.engine, alias.own_name.id, now=meter.now)
    add(meter, own("qwen"))
    assert meter.total() == CENT
    assert meter.preview_rerate().total.after_nano == 3 * CENT
    meter.now += 1
    meter.rerate()
    assert meter.total() == 3 * CENT
    assert meter.violations() == []


def test_the_same_name_again_changes_nothing_and_another_meaning_at_the_same_time_is_refused(meter):
    first = add(meter, own(until=FOURTH))
    again = add(meter, own(until=FOURTH))
    assert (again.is_new, again.alias) == (False, first.alias)
    with pytest.raises(AlreadyExistsError, match=r"alias 1 says that .* is 'llama' for some of that time"):
        add(meter, own("qwen", since=FOURTH - 1))
    assert add(meter, own("qwen", since=FOURTH)).alias.own_name.id == 2
    with pytest.raises(InvalidAliasError, match="must differ"):
        add(meter, own("llama", name="llama"))


def test_the_provider_may_be_spelled_as_other_tools_do(meter):
    assert add(meter, own(provider="together_ai")).alias.own_name.provider == "together"


def test_a_model_without_a_price_is_pointed_out(meter):
    change = add(meter, own("no/such-model"), rate=False)
    assert (change.has_price, change.charged_events) == (False, None)


def test_an_explanation_as_known_before_the_name_was_added_does_not_have_it(meter):
    add(meter, own(), rate=False)

    def explained(known_at):
        request = StatedRequest(
            model="accounts/acme/models/our-llama", provider="together", at=THIRD, operation="chat", route="routed",
            context_tokens=0, account=None, known_at=known_at,
        )  # fmt: skip
        return explain_price(meter.engine, request).explanation

    assert explained(None).own_name.model == "llama"
    assert explained(NOW - 1).own_name is None
