"""Discounts follow base prices: every operation that records base prices updates the discounts."""

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
from support.builders import NOW, instant, price_table, rate, usage_event
from support.presence import present
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
    """Ten models at $1 per million input tokens; acme has a discount of ten percent from the first sync on."""
    with ExitStack() as stack:
        found = Router(bare_meter, stack)
        bare_meter.declare("acme")
        bare_meter.declare("globex")
        found.sync()
        give_discount(bare_meter)
        yield found


def give_discount(meter, share=TEN_PERCENT, start=None):
    meter.now += 1
    request = DiscountRequest("acme", share, meter.now if start is None else start)
    return discount_prices(meter.engine, request, now=meter.now).table_ids


def cost(meter, model="model-0", account="acme", time=None):
    """Return what a request of 100 input tokens costs now, in nano-USD; 0 if it has no price."""
    before = meter.total()
    meter.ingest(usage_event(model=model, account=account, time=time or meter.now, quantities=Quantities(input_tokens=100)))
    return meter.total() - before


def discount_tables(meter):
    return meter.rows(select(price_tables).where(price_tables.c.source == DISCOUNT).order_by(price_tables.c.id))


def sheet(meter, price, model="model-0", account=None):
    meter.now += 1
    text = SHEET.format(price=price, model=model)
    return import_prices(meter.engine, PriceSheet(text.encode(), "s.yaml"), account=account, rate=False, now=meter.now)


def test_a_sync_that_lowers_a_list_price_lowers_the_discounted_price(router):
    assert cost(router.meter) == 90_000
    before = discount_tables(router.meter)
    assert router.sync(document(("model-0", "together", 0.5, 2.0))).outcome == "recorded"
    assert (cost(router.meter), cost(router.meter, account="globex")) == (45_000, 50_000)
    after = discount_tables(router.meter)
    # recorded tables do not change, and the new one takes effect when the base price changed
    assert after[: len(before)] == before
    assert [(row.route, row.effective_from) for row in after[len(before) :]] == [("routed", router.meter.now)]
    assert router.meter.count(charges) == 0
    assert not router.meter.violations()


def test_only_changed_prices_are_written_again(router):
    router.sync(document(("model-0", "together", 0.5, 2.0)))
    written = router.meter.rows(select(price_tables.c.id).order_by(price_tables.c.id.desc()).limit(1))[0][0]
    assert [row.model for row in router.meter.rows(select(rates.c.model).where(rates.c.table_id == written))] == ["model-0"]


def test_a_model_that_the_router_withdraws_is_withdrawn_for_the_account(router):
    router.sync(document(without=("model-9",)))
    assert cost(router.meter, "model-9") == 0


def test_a_new_model_is_discounted_from_its_first_price_on(router):
    router.sync(document(("new", "together", 1.0, 2.0)))
    assert cost(router.meter, "new") == 90_000


def test_a_pending_sync_changes_discounts_only_when_it_is_accepted(router):
    pending = router.sync(document(("model-0", "together", 20.0, 2.0)))
    before = len(discount_tables(router.meter))
    assert cost(router.meter) == 90_000
    accept_sync(router.meter.engine, pending.id, now=router.meter.now)
    assert cost(router.meter) == 1_800_000
    assert len(discount_tables(router.meter)) == before + 1


def test_a_sync_without_changes_writes_no_discounts(router):
    before = discount_tables(router.meter)
    assert router.sync().outcome == "unchanged"
    assert discount_tables(router.meter) == before


def test_discounts_follow_an_imported_sheet_once(router):
    imported = sheet(router.meter, 4)
    assert imported.discount_ids == [row.id for row in discount_tables(router.meter)[-len(imported.discount_ids) :]]
    assert (cost(router.meter), cost(router.meter, account="globex")) == (360_000, 400_000)
    again = sheet(router.meter, 4)
    assert (again.table_ids, again.discount_ids) == ([], [])
    assert give_discount(router.meter, start=discount_tables(router.meter)[0].effective_from) == []


def test_discounts_follow_an_imported_list_and_the_tables_of_a_release(router):
    router.meter.now += 1
    fields = {"source": "list", "layer": Layer.BUNDLED, "kind": TableKind.SNAPSHOT, "effective_from": NOW}
    report = SourceReport((price_table(rate(10_000_000, model="listed"), **fields),), ())
    assert import_price_list(router.meter.engine, report, rate=False, now=router.meter.now).discount_ids
    # $10 per million less ten percent
    assert cost(router.meter, "listed") == 900_000
    before = len(discount_tables(router.meter))
    upgrade_database(router.meter.engine, now=router.meter.now)
    assert len(discount_tables(router.meter)) > before


def test_discounts_follow_several_dated_prices_of_one_sheet(router):
    two = (
        SHEET
        + """\
      - from: 2026-11-22
        usd_per_million: {{input_tokens: 6, output_tokens: 0}}
        source: the contract
"""
    )
    give_discount(router.meter, start=instant("2026-11-19T00:00:00Z"))
    router.meter.now += 1
    sheet_of_two = PriceSheet(two.format(price=4, model="model-0").encode(), "s.yaml")
    import_prices(router.meter.engine, sheet_of_two, account=None, rate=False, now=router.meter.now)
    costs = [cost(router.meter, time=instant(f"2026-11-{day}T12:00:00Z")) for day in (20, 21, 22)]
    # $4, then $6 per million input tokens, less ten percent
    assert costs == [360_000, 360_000, 540_000]


def test_a_price_agreed_after_the_discount_takes_precedence(router):
    sheet(router.meter, 7, account="acme")
    assert cost(router.meter) == 700_000
    # a changed base price does not bring the discount back
    router.sync(document(("model-0", "together", 0.5, 2.0)))
    assert cost(router.meter) == 700_000


def test_an_explanation_names_the_base_table_of_the_discount(router):
    synced = router.sync(document(("model-0", "together", 0.5, 2.0)))
    request = StatedRequest(model="model-0", at=router.meter.now, provider="together", route="routed", account="acme")
    explanation = explain_price(router.meter.engine, request).explanation
    rate = present(explanation.rate)
    assert rate.source.startswith(f"10 % off version {synced.table_id} of hf_router: ")
    assert rate.prices["input_tokens"].pico == 450_000
    sheet(router.meter, 7, account="acme")
    explanation = explain_price(router.meter.engine, request).explanation
    assert [(quote.lookup.price_list.source, quote.outcome) for quote in explanation.quotes][:2] == [
        ("our contract", QuoteOutcome.WINS),
        (DISCOUNT, QuoteOutcome.OUTRANKED),
    ]


def test_known_at_before_a_sync_gives_the_earlier_discounted_price(router):
    known_at = router.meter.now
    router.sync(document(("model-0", "together", 0.5, 2.0)))
    request = StatedRequest(
        model="model-0", at=router.meter.now, provider="together", route="routed", account="acme", known_at=known_at
    )
    assert present(explain_price(router.meter.engine, request).explanation.rate).prices["input_tokens"].pico == 900_000
