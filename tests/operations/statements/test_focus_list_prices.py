"""FOCUS files of accounts with separate prices, from a database."""

import csv
import io
from contextlib import closing

from metering.domain.prices.account_discounts import DiscountRequest
from metering.exports.formats import FORMATS
from metering.operations.prices.discount_prices import discount_prices
from metering.operations.prices.record_version import record_version
from metering.operations.statements.export_statement import ExportedFile, export_statement
from metering.operations.steps.find_account import find_account
from metering.storage.engine.database import exclusive_write, read_snapshot
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from pricing.tables import Layer
from support.builders import FROM_2020, NOON, SECOND, instant, price_table, rate, usage_event
from support.presence import instance

PLANS = bundled_plans()
COLUMNS = ("ListUnitPrice", "ListCost", "ContractedUnitPrice", "BilledCost", "PricingCategory")
AT_LIST_PRICE = ("0.000001", "1", "0.000001", "1", "Dynamic")


def use_a_million(meter, **overrides):
    """Use a million input tokens of llama, for which everyone pays $1.00 at first."""
    meter.ingest(usage_event(quantities=Quantities(input_tokens=1_000_000), **overrides))


def usage_rows(meter, month=202611):
    exported = export_statement(meter.engine, "acme", month, PLANS, FORMATS["focus"])
    with closing(instance(ExportedFile, exported)) as file:
        text = b"".join(file.chunks()).decode()
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return sorted(tuple(row[name] for name in COLUMNS) for row in rows if row["ChargeCategory"] == "Usage")


def discount(meter, percent):
    meter.now += SECOND
    discount_prices(meter.engine, DiscountRequest("acme", percent * 10_000, FROM_2020), now=meter.now)


def record(meter, table):
    """Record a price table as an import does: discounts follow."""
    meter.now += SECOND
    with exclusive_write(meter.engine) as connection:
        record_version(connection, table, [], now=meter.now)


def agree(meter, input_pico):
    with read_snapshot(meter.engine) as connection:
        own = find_account(connection, "acme").id
    record(meter, price_table(rate(input_pico), source="contract", layer=Layer.ACCOUNT, account_id=own))


def test_a_list_price_is_the_price(meter):
    use_a_million(meter)
    assert usage_rows(meter) == [AT_LIST_PRICE]


def test_a_discount_shows_the_price_before_it(meter):
    discount(meter, 10)
    use_a_million(meter)
    ten_percent = ("0.000001", "1", "0.0000009", "0.9", "Standard")
    assert usage_rows(meter) == [ten_percent]
    # another discount applies from now on; what was charged before keeps its price
    discount(meter, 50)
    use_a_million(meter)
    assert usage_rows(meter) == [("0.000001", "1", "0.0000005", "0.5", "Standard"), ten_percent]


def test_a_discount_on_a_new_list_price_shows_the_new_one(meter):
    discount(meter, 10)
    use_a_million(meter)
    record(meter, price_table(rate(2_000_000), effective_from=instant("2026-11-10T00:00:00Z")))
    use_a_million(meter, time=instant("2026-11-10T00:00:00Z"))
    use_a_million(meter, time=instant("2026-11-09T23:59:59Z"))
    before = ("0.000001", "1", "0.0000009", "0.9", "Standard")
    assert usage_rows(meter) == [before, before, ("0.000002", "2", "0.0000018", "1.8", "Standard")]


def test_an_agreed_price_shows_what_everyone_pays(meter):
    agree(meter, 250_000)
    use_a_million(meter)
    record(meter, price_table(rate(3_000_000), effective_from=instant("2026-11-10T00:00:00Z")))
    use_a_million(meter, time=instant("2026-11-10T08:00:00Z"))
    assert usage_rows(meter) == [
        ("0.000001", "1", "0.00000025", "0.25", "Standard"),
        ("0.000003", "3", "0.00000025", "0.25", "Standard"),
    ]


def test_usage_from_before_a_price_of_ones_own_keeps_its_list_price(meter):
    use_a_million(meter)
    agree(meter, 250_000)
    use_a_million(meter, time=NOON + SECOND)
    assert usage_rows(meter) == [("0.000001", "1", "0.00000025", "0.25", "Standard"), AT_LIST_PRICE]


def test_a_closed_month_keeps_the_list_prices_it_was_closed_with(meter):
    agree(meter, 250_000)
    use_a_million(meter)
    meter.now = instant("2026-12-05T00:00:00Z")
    meter.close(202611)
    closed = usage_rows(meter)
    # the list of November is corrected after the close
    record(meter, price_table(rate(9_000_000)))
    assert usage_rows(meter) == closed == [("0.000001", "1", "0.00000025", "0.25", "Standard")]
