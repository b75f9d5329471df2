"""The list price of an account's own rate: the version it was discounted from, or what everyone pays at that instant."""

from msgspec.structs import replace

from pricing.discounts import BasePrices, Discount, base_version, expand
from pricing.list_prices import ListPrices, base_versions
from pricing.rates import Price, Rate
from pricing.tables import DISCOUNT, Layer, PriceTable, TableKind
from support.builders import FROM_2020, instant, price_table, rate

OCTOBER, NOVEMBER = instant("2026-10-01T00:00:00Z"), instant("2026-11-01T00:00:00Z")
KEY = ("together", "llama", "chat")


def listed(table_id: int, input_pico: int, since: int = FROM_2020, *more: Rate, **overrides) -> PriceTable:
    """Return version ``table_id`` of everybody's list."""
    return price_table(rate(input_pico, table_id=table_id), *more, id=table_id, effective_from=since, **overrides)


def discounted(base: list[PriceTable], share: int, **overrides) -> list[Rate]:
    """Return the rates of routed requests that a discount writes, as if recorded in table 90."""
    discount = Discount(account_id=1, share=share, effective_from=OCTOBER, **overrides)
    tables = expand(BasePrices(base), [], [discount]).tables
    return [
        Rate(
            provider=each.provider,
            model=each.model,
            operation=each.operation,
            context_from=each.context_from,
            prices=each.prices,
            source=each.source,
            table_id=90,
        )
        for table in tables
        for each in table.rates
        if table.route == "routed"
    ]


def prices_of(found: Rate) -> int:
    return found.prices["input_tokens"].pico


def test_a_listed_rate_is_its_own_list_price():
    table = listed(1, 1_000_000)
    (of_list,) = table.rates
    assert ListPrices({90: DISCOUNT}, (table,)).list_rate(of_list, "routed", KEY, NOVEMBER) is of_list


def test_a_discounted_rate_leads_to_the_version_it_was_computed_from():
    # 10 % off $1.00 until November, 10 % off $2.00 from then on
    base = [listed(1, 1_000_000), listed(2, 2_000_000, NOVEMBER)]
    before, after = discounted(base, 100_000)
    find = ListPrices({90: DISCOUNT}, tuple(base))
    assert [prices_of(each) for each in (before, after)] == [900_000, 1_800_000]
    assert base_versions([before, after], {90: DISCOUNT}) == {1, 2}
    # whatever the day: the price that was discounted counts, not what a list says by then
    assert [prices_of(find.list_rate(each, "routed", KEY, NOVEMBER)) for each in (before, after)] == [1_000_000, 2_000_000]


def test_a_price_that_was_given_away_has_a_list_price():
    base = [listed(1, 1_000_000)]
    (free,) = discounted(base, 1_000_000)
    assert prices_of(free) == 0
    assert prices_of(ListPrices({90: DISCOUNT}, tuple(base)).list_rate(free, "routed", KEY, NOVEMBER)) == 1_000_000


def test_each_context_tier_and_operation_has_its_own_list_price():
    more = (
        rate(5_000_000, table_id=1, context_from=200_000),
        rate(7_000_000, table_id=1, operation="batch"),
    )
    base = [listed(1, 1_000_000, FROM_2020, *more)]
    find = ListPrices({90: DISCOUNT}, tuple(base))
    pairs = {prices_of(each): prices_of(find.list_rate(each, "routed", KEY, NOVEMBER)) for each in discounted(base, 500_000)}
    assert pairs == {500_000: 1_000_000, 2_500_000: 5_000_000, 3_500_000: 7_000_000}


def test_an_agreed_price_has_the_list_price_of_its_day_and_tier():
    base = [listed(1, 1_000_000), listed(2, 2_000_000, NOVEMBER)]
    agreed = rate(300_000, table_id=90)
    find = ListPrices({90: "contract"}, tuple(base))
    assert [prices_of(find.list_rate(agreed, "routed", KEY, at)) for at in (NOVEMBER - 1, NOVEMBER)] == [1_000_000, 2_000_000]


def test_a_price_that_no_list_has_is_its_own_list_price():
    agreed = rate(300_000, table_id=90)
    find = ListPrices({90: "contract"}, (listed(1, 1_000_000),))
    assert find.list_rate(agreed, "routed", ("together", "other", "chat"), NOVEMBER) is agreed
    (gone,) = discounted([listed(1, 1_000_000)], 100_000)
    assert ListPrices({90: DISCOUNT}, ()).list_rate(gone, "routed", KEY, NOVEMBER) is gone


def test_only_a_discount_reads_its_provenance():
    base = [listed(1, 1_000_000), listed(2, 2_000_000, NOVEMBER)]
    claims = rate(300_000, table_id=90, source="10 % off version 1 of sheet: a contract")
    assert base_versions([claims], {90: "contract"}) == set()
    assert prices_of(ListPrices({90: "contract"}, tuple(base)).list_rate(claims, "routed", KEY, NOVEMBER)) == 2_000_000


def test_the_account_s_own_tables_are_no_list():
    own = replace(listed(90, 300_000), layer=Layer.ACCOUNT, account_id=1, source="contract", kind=TableKind.PATCH)
    find = ListPrices({90: "contract"}, (own, listed(1, 1_000_000)))
    assert prices_of(find.list_rate(own.rates[0], "routed", KEY, NOVEMBER)) == 1_000_000


def test_provenance_is_read_only_where_it_was_written():
    assert base_version("12.5 % off version 11 of hf_router: genai-prices") == 11
    assert base_version("10 % off version 7 of a: b, rounded half up to whole pico-USD: c") == 7
    for other in ("", "a list", "see 10 % off version 3 of x", "10 % off version x of y", "ten % off version 3 of y"):
        assert base_version(other) is None


def test_prices_per_block_stay_per_block():
    hourly = Rate(provider="together", model="llama", prices={"compute_ms": Price(10**12, 3_600_000)}, table_id=1)
    base = [price_table(hourly, id=1)]
    (half,) = discounted(base, 500_000)
    found = ListPrices({90: DISCOUNT}, tuple(base)).list_rate(half, "routed", KEY, NOVEMBER)
    assert (half.prices["compute_ms"], found.prices["compute_ms"]) == (
        Price(5 * 10**11, 3_600_000),
        Price(10**12, 3_600_000),
    )
