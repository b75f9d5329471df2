"""A discount follows what others pay: whatever records another base price records what the discount comes to with it."""

from contextlib import ExitStack

import pytest
from sqlalchemy import select

from metering.domain.prices.account_discounts import DiscountRequest
from metering.domain.prices.price_explanations import StatedRequest
from metering.operations.prices.accept_sync import accept_sync
from metering.operations.prices.discount_prices import discount_prices
from metering.operations.prices.explain_price import explain_price
from metering.operations.prices.import_price_list import import_price_list
from metering.operations.prices.import_prices import PriceSheet, import_prices
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.storage.tables import charges, price_tables, rates
from pricing.precedence import QuoteOutcome
from pricing.quantities import Quantities
from pricing.sources.source_report import SourceReport
from pricing.tables import DISCOUNT, Layer, TableKind
from support.builders import NOW, price_table, rate, usage_event
from support.router import Router, document

SHEET = """\
source: our contract
route: any
currency: USD
provider: together
models:
  - model: {model}
    versions:
      - from: 2026-11-20
        usd_per_million: {{input_tokens: {price}, output_tokens: 0}}
        source: the contract
"""
TEN_PERCENT = 100_000


@pytest.fixture
def router(bare_meter):
    """Ten models at $1 a million in; acme has ten percent off from the first sync on."""
    with ExitStack() as stack:
        found = Router(bare_meter, stack)
        bare_meter.declare("acme")
        bare_meter.declare("globex")
        found.sync()
        give(bare_meter)
        yield found


def give(meter, share=TEN_PERCENT, start=None):
    meter.now += 1
    asked = DiscountRequest("acme", share, meter.now if start is None else start)
    return discount_prices(meter.engine, asked, now=meter.now).table_ids


def cost(meter, model="model-0", account="acme"):
    """What a request of 100 tokens in costs now, in nano-USD; None where there is no price."""
    before = meter.total()
    meter.ingest(usage_event(model=model, account=account, time=meter.now, quantities=Quantities(input_tokens=100)))
    return meter.total() - before


def discount_tables(meter):
    return meter.rows(select(price_tables).where(price_tables.c.source == DISCOUNT).order_by(price_tables.c.id))


def sheet(meter, price, model="model-0", account=None):
    meter.now += 1
    text = SHEET.format(price=price, model=model)
    return import_prices(meter.engine, PriceSheet(text.encode(), "s.yaml"), account=account, rate=False, now=meter.now)


def test_a_sync_that_lowers_a_list_price_lowers_the_discounted_one(router):
    assert cost(router.meter) == 90_000
    before = discount_tables(router.meter)
    assert router.sync(document(("model-0", "together", 0.5, 2.0))).outcome == "recorded"
    assert (cost(router.meter), cost(router.meter, account="globex")) == (45_000, 50_000)
    after = discount_tables(router.meter)
    # nothing that was recorded changes, and what is new holds from where the base changed
    assert after[: len(before)] == before
    assert [(row.route, row.effective_from) for row in after[len(before) :]] == [("routed", router.meter.now)]
    assert router.meter.count(charges) == 0
    assert not router.meter.violations()


def test_only_prices_that_changed_are_written_again(router):
    router.sync(document(("model-0", "together", 0.5, 2.0)))
    written = router.meter.rows(select(price_tables.c.id).order_by(price_tables.c.id.desc()).limit(1))[0][0]
    assert [row.model for row in router.meter.rows(select(rates.c.model).where(rates.c.table_id == written))] == ["model-0"]


def test_a_model_that_the_router_withdraws_is_withdrawn_for_the_account_too(router):
    router.sync(document(without=("model-9",)))
    assert cost(router.meter, "model-9") == 0


def test_a_model_that_is_new_is_discounted_from_its_first_price_on(router):
    router.sync(document(("new", "together", 1.0, 2.0)))
    assert cost(router.meter, "new") == 90_000


def test_a_held_sync_moves_discounts_when_it_is_accepted_and_not_before(router):
    held = router.sync(document(("model-0", "together", 20.0, 2.0)))
    before = len(discount_tables(router.meter))
    assert cost(router.meter) == 90_000
    accept_sync(router.meter.engine, held.id, now=router.meter.now)
    assert cost(router.meter) == 1_800_000
    assert len(discount_tables(router.meter)) == before + 1


def test_a_sync_without_a_change_writes_nothing(router):
    before = discount_tables(router.meter)
    assert router.sync().outcome == "unchanged"
    assert discount_tables(router.meter) == before


def test_an_imported_sheet_takes_discounts_along_and_again_it_writes_nothing(router):
    imported = sheet(router.meter, 4)
    assert imported.discount_ids == [row.id for row in discount_tables(router.meter)[-len(imported.discount_ids) :]]
    assert (cost(router.meter), cost(router.meter, account="globex")) == (360_000, 400_000)
    again = sheet(router.meter, 4)
    assert (again.table_ids, again.discount_ids) == ([], [])
    assert give(router.meter, start=discount_tables(router.meter)[0].effective_from) == []


def test_an_imported_list_and_what_a_release_carries_take_discounts_along(router):
    router.meter.now += 1
    fields = {"source": "list", "layer": Layer.BUNDLED, "kind": TableKind.SNAPSHOT, "effective_from": NOW}
    report = SourceReport((price_table(rate(10_000_000, model="listed"), **fields),), ())
    assert import_price_list(router.meter.engine, report, rate=False, now=router.meter.now).discount_ids
    # $10 a million less ten percent
    assert cost(router.meter, "listed") == 900_000
    before = len(discount_tables(router.meter))
    upgrade_database(router.meter.engine, now=router.meter.now)
    assert len(discount_tables(router.meter)) > before


def test_a_price_that_was_agreed_after_the_discount_is_what_counts(router):
    sheet(router.meter, 7, account="acme")
    assert cost(router.meter) == 700_000
    # and a base price that changes does not bring the discount back
    router.sync(document(("model-0", "together", 0.5, 2.0)))
    assert cost(router.meter) == 700_000


def test_explaining_names_the_base_version_that_the_discount_follows(router):
    synced = router.sync(document(("model-0", "together", 0.5, 2.0)))
    question = StatedRequest(model="model-0", at=router.meter.now, provider="together", route="routed", account="acme")
    explanation = explain_price(router.meter.engine, question).explanation
    assert explanation.rate.source.startswith(f"10 % off version {synced.table_id} of hf_router: ")
    assert explanation.rate.prices["input_tokens"].pico == 450_000
    sheet(router.meter, 7, account="acme")
    explanation = explain_price(router.meter.engine, question).explanation
    assert [(word.asked.source.source, word.standing) for word in explanation.words][:2] == [
        ("our contract", QuoteOutcome.WINS),
        (DISCOUNT, QuoteOutcome.OUTRANKED),
    ]


def test_what_was_known_before_a_sync_is_the_base_and_the_discount_of_then(router):
    known_at = router.meter.now
    router.sync(document(("model-0", "together", 0.5, 2.0)))
    question = StatedRequest(
        model="model-0", at=router.meter.now, provider="together", route="routed", account="acme", known_at=known_at
    )
    assert explain_price(router.meter.engine, question).explanation.rate.prices["input_tokens"].pico == 900_000
