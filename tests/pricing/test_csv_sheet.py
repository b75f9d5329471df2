"""A CSV price sheet is read exactly and whole, or refused with the line and the column."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import InvalidPriceError
from pricing.rates import Price
from pricing.sources import csv_sheet
from pricing.sources.csv_sheet import parse_csv_sheet
from pricing.sources.sheets import parse_sheet
from pricing.tables import Layer, TableKind

HEAD = "provider,model,operation,quantity,usd,per,effective_from,context_from,route,currency,source\n"
ROW = "together,llama,,input_tokens,0.88,million,2025-11-24T15:39:34Z,,routed,USD,contract 17\n"
NOV_24 = 1_763_998_774_000_000  # 2025-11-24T15:39:34Z: date -ud 2025-11-24T15:39:34 +%s
JAN_1 = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def read(text, **options):
    given: dict[str, Any] = {"name": "prices.csv", "source": "our-prices", "layer": Layer.OPERATOR}
    return parse_csv_sheet(text, **given | options)


def sheet(*rows, columns="provider,model,quantity,usd,per,effective_from"):
    return "\n".join([columns, *rows])


def refusal(text):
    with pytest.raises(InvalidPriceError) as refused:
        read(text)
    assert refused.value.code == "invalid_price"
    return refused.value


def test_a_sheet_becomes_a_patch_with_its_prices_and_sources():
    (table,) = read(HEAD + ROW + ROW.replace("input_tokens,0.88", "output_tokens,0.9"), recorded_at=7)
    assert (table.source, table.route, table.kind, table.layer) == ("our-prices", "routed", TableKind.PATCH, Layer.OPERATOR)
    assert (table.effective_from, table.recorded_at, table.account_id) == (NOV_24, 7, None)
    (rate,) = table.rates
    assert (rate.provider, rate.model, rate.operation, rate.source) == ("together", "llama", "", "contract 17")
    assert rate.prices == {"input_tokens": Price(880_000), "output_tokens": Price(900_000)}


def test_a_csv_sheet_reads_like_the_same_sheet_in_yaml():
    written = """\
source: our-prices
route: routed
currency: USD
provider: together
models:
  - model: llama
    versions:
      - {from: 2025-11-24T15:39:34Z, usd_per_million: {input_tokens: 0.88}, source: contract 17}
"""
    (yaml,) = parse_sheet(written, name="x", layer=Layer.OPERATOR)
    assert read(HEAD + ROW)[0].digest == yaml.digest


def test_optional_columns_can_be_omitted():
    (table,) = read(sheet("together,llama,input_tokens,1,million,2026-01-01"))
    assert (table.route, table.effective_from) == ("", JAN_1)
    assert (table.rates[0].operation, table.rates[0].source) == ("", "prices.csv, line 2")


@pytest.mark.parametrize("text", [HEAD + ROW, (HEAD + ROW).replace("\n", "\r\n"), "\ufeff" + HEAD + "\n , ,\n" + ROW.strip()])
def test_line_ends_empty_lines_and_a_byte_order_mark_do_not_matter(text):
    assert read(text)[0].digest == read((HEAD + ROW).encode())[0].digest


@pytest.mark.parametrize(
    ("quantity", "usd", "per", "expected"),
    [
        ("cache_read_tokens", "0.0375", "million", {"cache_read_tokens": Price(37_500)}),
        ("characters", "15", "million", {"characters": Price(15_000_000)}),
        ("images", "0.025", "unit", {"images": Price(25_000_000_000)}),
        ("requests", "0.001", "unit", {"requests": Price(10**9)}),
        ("compute", "0.00012", "second", {"compute_ms": Price(120_000_000, 1_000)}),
        ("audio", "0.111", "hour", {"audio_ms": Price(111_000_000_000, 3_600_000)}),
        ("input_tokens", "0", "million", {"input_tokens": Price(0)}),
    ],
)
def test_prices_in_each_unit_are_exact(quantity, usd, per, expected):
    (table,) = read(sheet(f"together,llama,{quantity},{usd},{per},2026-01-01"))
    assert table.rates[0].prices == expected


def test_an_operation_is_read_and_any_is_the_empty_one():
    columns = "provider,model,operation,quantity,usd,per,effective_from"
    (table,) = read(
        sheet("x,m,chat,input_tokens,1,million,2026-01-01", "x,m,any,input_tokens,2,million,2026-01-01", columns=columns)
    )
    assert [rate.operation for rate in table.rates] == ["chat", ""]


def test_each_route_and_instant_is_one_table():
    columns = "provider,model,quantity,usd,per,effective_from,route"
    tables = read(
        sheet(
            "x,m,input_tokens,1,million,2026-01-01,routed",
            "x,m,input_tokens,2,million,2026-01-02,routed",
            "x,m,input_tokens,3,million,2026-01-01,provider_key",
            columns=columns,
        )
    )
    assert [(table.route, table.effective_from, table.rates[0].prices["input_tokens"].pico) for table in tables] == [
        ("provider_key", JAN_1, 3_000_000),
        ("routed", JAN_1, 1_000_000),
        ("routed", JAN_1 + 86_400_000_000, 2_000_000),
    ]


def test_a_tier_is_a_rate_from_its_context():
    columns = "provider,model,quantity,usd,per,effective_from,context_from"
    (table,) = read(
        sheet("x,m,input_tokens,1,million,2026-01-01,", "x,m,input_tokens,2,million,2026-01-01,200001", columns=columns)
    )
    assert [(rate.context_from, rate.prices["input_tokens"].pico) for rate in table.rates] == [
        (0, 1_000_000),
        (200_001, 2_000_000),
    ]


@pytest.mark.parametrize("word", ["withdrawn", "unknown"])
def test_a_price_can_end(word):
    first, second = read(sheet("x,m,input_tokens,1,million,2026-01-01", f"x,m,,{word},,2026-01-02"))
    assert (first.withdrawn, second.withdrawn, second.rates) == (frozenset(), {("x", "m", "")}, ())


GOOD = "together,llama,input_tokens,0.88,million,2026-01-01"


@pytest.mark.parametrize(
    ("old", "new", "fault", "message"),
    [
        ("together", "Together", "malformed", "line 2, column provider: provider must be in lower case"),
        ("together", "", "malformed", "line 2, column provider: provider must be text"),
        ("llama", "", "malformed", "line 2, column model: model must be text"),
        ("llama", "x" * 256, "malformed", "line 2, column model: model must be text of at most 255"),
        ("0.88", "", "malformed", "line 2, column usd: together llama: '' is not a decimal number"),
        ("0.88", '"0,88"', "malformed", "line 2, column usd: together llama: '0,88' is not a decimal number"),
        ("0.88", "$0.88", "malformed", "line 2, column usd: together llama: '$0.88' is not a decimal number"),
        ("0.88", "NaN", "malformed", "line 2, column usd: together llama: 'NaN' is not a finite number"),
        ("0.88", "0.1234567", "malformed", "line 2, column usd: together llama: '0.1234567' has more than 6 decimals"),
        ("0.88", "-0.88", "negative", "line 2, column usd: together llama: a price must be between 0"),
        ("0.88", "1880", "implausible", "line 2, column usd: together llama: 1880 dollars per million exceeds the plausible"),
        ("0.88", "withdrawn", "malformed", "line 2, column quantity: together llama: must be empty if usd is withdrawn"),
        ("million", "", "unit", "line 2, column per: together llama: the unit is missing; a price is per million, unit,"),
        ("million", "token", "unit", "line 2, column per: together llama: 'token' is not a unit"),
        ("million", "unit", "unit", "line 2, column quantity: together llama: 'input_tokens' is not priced per unit"),
        ("input_tokens", "tokens", "unit", "line 2, column quantity: together llama: 'tokens' is not priced per million"),
        ("2026-01-01", "", "malformed", "line 2, column effective_from: effective_from '' is not a time"),
        ("2026-01-01", "01.01.2026", "malformed", "line 2, column effective_from: effective_from '01.01.2026' is not a time"),
        ("2026-01-01", "2026-01-01T00:00", "malformed", "line 2, column effective_from: effective_from '2026-01-01T00:00' has"),
        ("million", "million,x", "unreadable", "line 2: 7 cells, but there are 6 columns"),
        ("together", '"together', "unreadable", "line 2: not CSV: unexpected end of data"),
    ],
)  # fmt: skip
def test_an_invalid_row_is_refused_with_its_line_and_column(old, new, fault, message):
    refused = refusal(sheet(GOOD.replace(old, new)))
    assert str(refused).startswith(f"prices.csv: {message}")
    assert refused.fault == fault


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("", "prices.csv: the first row must name the columns"),
        ("provider,model,quantity,usd,per", "prices.csv: line 1: missing column effective_from"),
        ("provider,model,quantity,usd,per,effective_from,usd", "prices.csv: line 1: the column usd occurs twice"),
        (
            "provider,model,quantity,eur,per,effective_from",
            "prices.csv: line 1: unknown column 'eur'; the columns are provider, model",
        ),
        (
            "provider;model;quantity",
            "prices.csv: line 1: unknown column 'provider;model;quantity'; the columns are provider, model,",
        ),
    ],
)
def test_the_first_row_names_the_columns(columns, message):
    refused = refusal(f"{columns}\n{GOOD}")
    assert str(refused).startswith(message)
    assert refused.fault == "unreadable"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "prices.csv: the first row must name the columns"),
        ("<!DOCTYPE html>", "prices.csv: looks like HTML, not CSV"),
        (b"\xff\xfep", "prices.csv: not UTF-8 text"),
        ("\ud800", "prices.csv: not UTF-8 text"),
        (sheet("together," + "x" * 200_000), "prices.csv: line 2: not CSV: field larger than field limit"),
    ],
)
def test_content_that_is_not_a_sheet_is_refused(text, message):
    assert str(refusal(text)).startswith(message)


def test_a_sheet_without_prices_is_refused():
    assert str(refusal(HEAD)) == "prices.csv: there are no prices below the first row"


def test_a_sheet_beyond_the_limit_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(csv_sheet, "MAX_BYTES", 10)
    assert str(refusal("x" * 11)) == "prices.csv: 11 bytes exceed the limit of 10"


ALL = "provider,model,quantity,usd,per,effective_from,context_from,route,currency"


@pytest.mark.parametrize(
    ("rows", "fault", "message"),
    [
        (
            ["x,m,input_tokens,1,million,2026-01-01,,,", "x,m,input_tokens,2,million,2026-01-01,,,"],
            "duplicate",
            "line 3, column quantity: x m: input_tokens is priced twice, see line 2",
        ),
        (
            ["x,m,input_tokens,1,million,2026-01-01,,,", "x,m,input_tokens,2,million,2026-01-01T01:00:00+01:00,,,"],
            "duplicate",
            "line 3, column quantity: x m: input_tokens is priced twice, see line 2",
        ),
        (
            ["x,m,input_tokens,1,million,2026-01-02,,,", "x,m,input_tokens,2,million,2026-01-01,,,"],
            "out_of_order",
            "line 3, column effective_from: x m: rows must be ordered by instant, oldest first",
        ),
        (
            [
                "x,m,input_tokens,1,million,2026-01-01,,,",
                "x,m,input_tokens,2,million,2026-01-02,,,",
                "x,m,output_tokens,2,million,2026-01-01,,,",
            ],
            "out_of_order",
            "line 4, column effective_from: x m: rows must be ordered by instant",
        ),
        (
            ["x,m,input_tokens,1,million,2026-01-01,,,", "x,m,,withdrawn,,2026-01-01,,,"],
            "duplicate",
            "line 3, column usd: x m: a version has either prices, or one row with withdrawn or unknown; see line 2",
        ),
        (
            ["x,m,,unknown,,2026-01-01,,,", "x,m,,withdrawn,,2026-01-01,,,"],
            "duplicate",
            "line 3, column usd: x m: a version has either prices, or one row with withdrawn or unknown; see line 2",
        ),
        (
            ["x,m,input_tokens,1,million,2026-01-01,,routed,", "x,m,input_tokens,2,million,2026-01-01,,any,"],
            "duplicate",
            "line 2, column route: x m: priced for any route at the same instant, see line 3",
        ),
        (
            ["x,m,input_tokens,1,million,2026-01-01,9,,"],
            "malformed",
            "line 2, column context_from: x m: no price below the first tier",
        ),
        (
            [
                "x,m,input_tokens,1,million,2026-01-01,,,",
                "x,m,output_tokens,1,million,2026-01-01,,,",
                "x,m,input_tokens,1,million,2026-01-01,9,,",
            ],
            "malformed",
            "line 4, column context_from: x m, tier from 9: no price of output_tokens",
        ),
        (
            ["x,m,input_tokens,1,million,2026-01-01,0,,"],
            "malformed",
            "line 2, column context_from: context_from must be a whole",
        ),
        (
            ["x,m,input_tokens,1,million,2026-01-01,,direct,"],
            "malformed",
            "line 2, column route: route must be routed, provider_key",
        ),
        (
            ["x,m,input_tokens,1,million,2026-01-01,,,EUR"],
            "currency",
            "line 2, column currency: currency must be USD, got 'EUR'",
        ),
    ],
)
def test_conflicting_rows_are_refused(rows, fault, message):
    refused = refusal(sheet(*rows, columns=ALL))
    assert str(refused).startswith(f"prices.csv: {message}")
    assert refused.fault == fault


def test_an_error_in_the_last_row_refuses_the_sheet():
    rows = [f"x,m-{i},input_tokens,1,million,2026-01-01" for i in range(500)]
    assert "line 502, column usd: x bad" in str(refusal(sheet(*rows, "x,bad,input_tokens,free,million,2026-01-01")))


def test_a_hundred_thousand_models_are_read():
    rows = [f"x,m-{i},input_tokens,1,million,2026-01-01" for i in range(100_000)]
    assert len(read(sheet(*rows))[0].rates) == 100_000


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_raises_the_documented_error(text):
    with pytest.raises(InvalidPriceError):
        read(text)


@given(st.lists(st.lists(st.text(alphabet='x1-,"\n\0 ', max_size=8), min_size=6, max_size=6), max_size=3))
def test_any_cells_are_read_or_raise_the_documented_error(rows):
    try:
        read(sheet(*[",".join(row) for row in rows]))
    except InvalidPriceError as error:
        assert str(error).startswith("prices.csv: ")
