"""The page about price sources is correct: its sheets can be read, and it explains every column, unit and fault."""

import re

from pricing.errors import PriceFault
from pricing.sources.amounts import MAX_USD
from pricing.sources.csv_sheet import OPTIONAL, REQUIRED, parse_csv_sheet
from pricing.sources.sheets import parse_sheet
from pricing.sources.units import UNITS
from pricing.tables import Layer
from support.places import ROOT
from support.presence import present

PAGE = (ROOT / "docs" / "price-sources.md").read_text("utf-8")


def example(language):
    return present(re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))[1]


def test_the_yaml_sheet_on_the_page_is_read():
    tables = parse_sheet(example("yaml"), name="page", layer=Layer.OPERATOR)
    assert [(len(table.rates), len(table.withdrawn)) for table in tables] == [(1, 0), (2, 0), (0, 1)]


def test_the_csv_sheet_on_the_page_is_read():
    tables = parse_csv_sheet(example("csv"), name="page", source="page", layer=Layer.OPERATOR)
    assert [(table.route, len(table.rates), len(table.withdrawn)) for table in tables] == [
        ("", 1, 0),
        ("routed", 1, 0),
        ("routed", 0, 1),
    ]


def test_the_page_has_every_column_unit_and_fault():
    words = {*REQUIRED, *OPTIONAL, *(f"usd_per_{unit}" for unit in UNITS), *(fault.value for fault in PriceFault)}
    assert [word for word in sorted(words) if f"`{word}`" not in PAGE] == []


def test_the_page_has_the_highest_plausible_prices():
    row = re.search(
        r"^\| `implausible` \| above ([\d,]+) dollars per million, (\d+) each, (\d+) per second", PAGE, re.MULTILINE
    )
    assert [int(amount.replace(",", "")) for amount in present(row).groups()] == list(MAX_USD.values())
