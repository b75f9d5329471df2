"""The generated sheets agree with the record, and are the same every time."""

from pathlib import Path

import pytest

import pricing.data
from pricing.data.generate_hf_router import generate, main
from pricing.sources.sheets import parse_sheet
from pricing.tables import Layer
from support.places import DATA

HISTORY = DATA / "prices" / "hf_router_price_history.csv"
FIRST, SECOND, THIRD = (
    ("a" * 40, "2025-11-24T17:39:34+02:00"),
    ("b" * 40, "2025-11-25T17:48:18+00:00"),
    ("c" * 40, "2026-08-21T15:02:24-05:00"),
)


def row(moment, price_in, price_out, model="llama", provider="together"):
    return {
        "commit": moment[0], "committed_at": moment[1], "hf_provider": provider, "model_id": model,
        "input_usd_per_mtok": price_in, "output_usd_per_mtok": price_out,
    }  # fmt: skip


def versions(rows, model="llama"):
    """Return the generated lines of one model of together: those below ``versions``, without the sources."""
    block = generate(rows)["together"].partition(f"- model: {model}\n    versions:\n")[2].partition("  - model")[0]
    return [line.strip().removeprefix("- ") for line in block.splitlines() if "source:" not in line]


def test_an_unchanged_price_is_one_version_and_its_instant_is_in_utc():
    rows = [row(FIRST, "0.88", "0.9"), row(SECOND, "0.88", "0.9"), row(THIRD, "1", "2")]
    assert versions(rows) == [
        "from: 2025-11-24T15:39:34Z",
        "usd_per_million: {input_tokens: 0.88, output_tokens: 0.9}",
        "from: 2026-08-21T20:02:24Z",
        "usd_per_million: {input_tokens: 1, output_tokens: 2}",
    ]


def test_a_model_that_is_no_longer_listed_is_withdrawn_and_can_come_back():
    rows = [row(FIRST, "1", "1"), row(SECOND, "1", "1", model="other"), row(THIRD, "1", "1")]
    price = "usd_per_million: {input_tokens: 1, output_tokens: 1}"
    assert versions(rows) == [
        "from: 2025-11-24T15:39:34Z", price,
        "from: 2025-11-25T17:48:18Z", "withdrawn: true",
        "from: 2026-08-21T20:02:24Z", price,
    ]  # fmt: skip


def test_a_model_that_appears_later_starts_there():
    rows = [row(FIRST, "1", "1", model="other"), row(SECOND, "2", "2")]
    assert versions(rows)[0] == "from: 2025-11-25T17:48:18Z"


def test_an_empty_price_is_unknown_and_the_other_price_is_kept():
    assert versions([row(FIRST, "", "")])[1] == "unknown: true"
    assert versions([row(FIRST, "0.5", "")])[1] == "usd_per_million: {input_tokens: 0.5}"
    assert versions([row(FIRST, "", "0.5")])[1] == "usd_per_million: {output_tokens: 0.5}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("0.18000000000000002", "0.18"), ("1.0399999999999998", "1.04"), ("100", "100"), ("0.0375", "0.0375")],
)
def test_the_error_of_a_binary_fraction_is_removed(written, meant):
    assert versions([row(FIRST, written, "3")])[1] == f"usd_per_million: {{input_tokens: {meant}, output_tokens: 3}}"


def test_a_price_with_really_more_decimals_is_refused():
    with pytest.raises(ValueError, match="more than six decimals"):
        generate([row(FIRST, "0.1234567", "1")])


def test_the_order_of_rows_does_not_matter_and_each_provider_has_a_sheet():
    rows = [row(FIRST, "1", "2"), row(THIRD, "3", "4", provider="novita"), row(SECOND, "1", "2", model="a")]
    assert generate(rows) == generate(list(reversed(rows)))
    assert sorted(generate(rows)) == ["novita", "together"]
    for provider, sheet in generate(rows).items():
        assert parse_sheet(sheet, name=provider, layer=Layer.BUNDLED)


def test_without_arguments_the_usage_is_printed(capsys):
    assert main([]) == 2
    assert "usage:" in capsys.readouterr().err


def test_the_bundled_sheets_are_generated_from_the_record(tmp_path, capsys):
    if not HISTORY.exists():
        pytest.skip("the record of the router's prices (../shared) is not here")
    assert main([str(HISTORY), str(tmp_path)]) == 0
    capsys.readouterr()
    bundled = Path(pricing.data.__file__).parent / "hf_router"
    written = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text("utf-8") for path in bundled.glob("*.yaml")}
