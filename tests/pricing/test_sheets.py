"""A price sheet is read exactly, or refused with the name of the entry."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import InvalidPriceError
from pricing.rates import Price
from pricing.sources.sheets import parse_sheet
from pricing.tables import Layer, TableKind

SHEET = """\
source: our-prices
route: routed
currency: USD
provider: together
models:
  - model: llama
    versions:
      - from: 2025-11-24T15:39:34Z
        usd_per_million: {input_tokens: 0.88, output_tokens: 0.88}
        source: contract 17
"""
NOV_24 = 1_763_998_774_000_000  # 2025-11-24T15:39:34Z: date -ud 2025-11-24T15:39:34 +%s
MARCH_20 = 1_774_038_589_000_000  # 2026-03-20T20:29:49Z
MIDNIGHT = 1_792_368_000_000_000  # 2026-10-19T00:00:00Z


def read(text, **options):
    given: dict[str, Any] = {"name": "prices.yaml", "layer": Layer.OPERATOR}
    return parse_sheet(text, **given | options)


def with_version(version):
    """Return the sheet with a different version of its only model, from lines of YAML."""
    head = SHEET.partition("      - from")[0]
    return head + "".join(f"      {line}\n" for line in version.strip("\n").split("\n"))


def refusal(text):
    with pytest.raises(InvalidPriceError) as refused:
        read(text)
    assert refused.value.code == "invalid_price"
    return str(refused.value)


def test_a_sheet_becomes_a_patch_with_its_prices_and_sources():
    (table,) = read(SHEET)
    assert (table.source, table.route, table.kind, table.layer) == ("our-prices", "routed", TableKind.PATCH, Layer.OPERATOR)
    assert table.effective_from == NOV_24
    (rate,) = table.rates
    assert (rate.provider, rate.model, rate.operation, rate.context_from) == ("together", "llama", "", 0)
    assert rate.prices == {"input_tokens": Price(880_000), "output_tokens": Price(880_000)}
    assert rate.source == "contract 17"


def test_bytes_with_a_byte_order_mark_are_read_as_text():
    assert read(b"\xef\xbb\xbf" + SHEET.encode())[0].digest == read(SHEET)[0].digest


def test_a_sheet_can_belong_to_an_account():
    (table,) = read(SHEET, layer=Layer.ACCOUNT, account_id=7, recorded_at=99)
    assert (table.account_id, table.recorded_at) == (7, 99)


@pytest.mark.parametrize(
    ("line", "prices"),
    [
        (
            "usd_per_million: {input_tokens: 0.0375, characters: 15}",
            {"input_tokens": Price(37_500), "characters": Price(15_000_000)},
        ),
        ("usd_per_million: {cache_read_tokens: 0.000001}", {"cache_read_tokens": Price(1)}),
        ("usd_per_unit: {images: 0.025, megapixels: 1}", {"images": Price(25_000_000_000), "megapixels": Price(10**12)}),
        ("usd_per_unit: {requests: 0.001}", {"requests": Price(1_000_000_000)}),
        ("usd_per_second: {compute: 0.00012}", {"compute_ms": Price(120_000_000, 1_000)}),
        (
            "usd_per_second: {audio: 0.0001, video: 0.13}",
            {"audio_ms": Price(10**8, 1_000), "video_ms": Price(130 * 10**9, 1_000)},
        ),
        ("usd_per_hour: {audio: 0.111}", {"audio_ms": Price(111_000_000_000, 3_600_000)}),
        ("included: [input_tokens, compute_ms, requests]", dict.fromkeys(("input_tokens", "compute_ms", "requests"), Price(0))),
        ("usd_per_million: {input_tokens: '0', output_tokens: 0.00}", {"input_tokens": Price(0), "output_tokens": Price(0)}),
    ],
)
def test_prices_in_each_unit_are_exact(line, prices):
    (table,) = read(with_version(f"- from: 2026-01-01\n  {line}\n  source: s"))
    assert table.rates[0].prices == prices


@given(st.integers(min_value=0, max_value=1_000 * 10**6))
def test_six_decimals_per_million_are_whole_pico_dollars_per_token(pico):
    text = f"{pico // 10**6}.{pico % 10**6:06d}"
    (table,) = read(with_version(f"- {{from: 2026-01-01, usd_per_million: {{input_tokens: {text}}}, source: s}}"))
    assert table.rates[0].prices["input_tokens"] == Price(pico)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-10-19", MIDNIGHT),
        ("2026-10-19T00:00:00Z", MIDNIGHT),
        ("2026-10-19 00:00:00+00:00", MIDNIGHT),
        ("2026-10-18T20:00:00-04:00", MIDNIGHT),
        ("2026-10-19T02:00:00.000001+02:00", MIDNIGHT + 1),
        ("2026-10-18T23:59:59.9999999Z", MIDNIGHT - 1),
        ("'2026-10-19'", MIDNIGHT),
        ("1969-12-31T23:59:59.999999Z", -1),
    ],
)
def test_an_instant_has_microseconds_and_a_date_is_its_midnight_utc(written, instant):
    (table,) = read(SHEET.replace("2025-11-24T15:39:34Z", written))
    assert table.effective_from == instant


def test_each_route_and_instant_is_a_table_in_order():
    tables = read(
        """\
source: s
route: [routed, provider_key]
currency: USD
models:
  - {model: b, provider: novita, versions: [{from: 2026-10-19, usd_per_unit: {images: 1}, source: x}]}
  - model: a
    provider: together
    versions:
      - {from: 2025-11-24T15:39:34Z, usd_per_million: {input_tokens: 1}, source: x}
      - {from: 2026-03-20T20:29:49Z, withdrawn: true, source: x}
      - {from: 2026-10-19, unknown: true, source: x}
"""
    )
    content = [(t.route, t.effective_from, [r.model for r in t.rates], sorted(t.withdrawn)) for t in tables]
    gone = [("together", "a", "")]
    assert content == [
        ("provider_key", NOV_24, ["a"], []),
        ("provider_key", MARCH_20, [], gone),
        ("provider_key", MIDNIGHT, ["b"], gone),
        ("routed", NOV_24, ["a"], []),
        ("routed", MARCH_20, [], gone),
        ("routed", MIDNIGHT, ["b"], gone),
    ]


def test_any_route_and_any_operation_are_empty():
    any_route = SHEET.replace("route: routed", "route: any").replace("- model: llama", "- model: llama\n    operation: any")
    (table,) = read(any_route)
    assert (table.route, table.rates[0].operation) == ("", "")


def test_a_model_can_have_its_own_operation_and_provider():
    named = SHEET.replace("- model: llama", "- model: llama\n    operation: embeddings\n    provider: novita")
    (rate,) = read(named)[0].rates
    assert (rate.operation, rate.provider) == ("embeddings", "novita")


def test_a_source_over_several_lines_becomes_one_line():
    (table,) = read(SHEET.replace("contract 17", "contract 17,\n          page 3"))
    assert table.rates[0].source == "contract 17, page 3"


def test_tiers_are_rates_of_the_same_key():
    (table,) = read(
        with_version(
            """
- from: 2026-01-01
  usd_per_million: {input_tokens: 1, output_tokens: 2}
  tiers:
    - {context_from: 200001, usd_per_million: {input_tokens: 2, output_tokens: 3}}
    - {context_from: 500001, usd_per_million: {input_tokens: 4, output_tokens: 5}}
  source: s
"""
        )
    )
    tiers = [(rate.context_from, rate.prices["input_tokens"].pico, rate.source) for rate in table.rates]
    assert tiers == [(0, 1_000_000, "s"), (200_001, 2_000_000, "s"), (500_001, 4_000_000, "s")]


PRICE = "usd_per_million: {input_tokens: 1}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: our-prices\n", "", "prices.yaml: missing source"),
        ("route: routed\n", "", "prices.yaml: missing route"),
        ("currency: USD\n", "", "prices.yaml: missing currency"),
        ("route: routed", "route: direct", "prices.yaml: route must be routed, provider_key, serverless, any"),
        ("route: routed", "route: [routed, routed]", "prices.yaml: route has the same value twice"),
        ("route: routed", "route: [any, routed]", "prices.yaml: route has the same value twice"),
        ("route: routed", "route: []", "prices.yaml: route must be"),
        ("route: routed", "route: [[routed]]", "prices.yaml: route must be"),
        ("currency: USD", "currency: EUR", "prices.yaml: currency must be USD, got 'EUR'"),
        ("currency: USD", "currency: [USD]", "prices.yaml: currency must be USD"),
        ("currency: USD", "currency: USD\nvat: 19", "prices.yaml: unknown key 'vat'; the keys are currency, models, provider"),
        ("provider: together\n", "", "prices.yaml: model 1: no provider"),
        ("provider: together", "provider: Together", "prices.yaml: model 1: provider must be in lower case"),
        ("provider: together", "provider: ''", "prices.yaml: model 1: provider must be text"),
        ("provider: together", f"provider: {'x' * 256}", "prices.yaml: model 1: provider must be text of at most 255"),
        ("model: llama", 'model: "lla\\0ma"', "prices.yaml: model 1: model must be text"),
        ("model: llama", "model: [llama]", "prices.yaml: model 1: model must be text"),
        ("- model: llama", "- modell: llama", "prices.yaml: model 1: missing model"),
        ("- model: llama", "- model: llama\n    price: 3", "prices.yaml: model 1: unknown key 'price'"),
        ("source: contract 17", "note: contract 17", "prices.yaml: together llama from 2025-11-24T15:39:34Z: missing source"),
        ("source: contract 17", "source: ''", "from 2025-11-24T15:39:34Z: source must be text"),
        ("source: contract 17", f"source: {'x' * 1001}", "source must be text of at most 1000 characters"),
        ("- from: 2025-11-24T15:39:34Z", "- since: 2025-11-24", "prices.yaml: together llama: a version has no from"),
        (
            "2025-11-24T15:39:34Z",
            "2025-11-24T15:39:34",
            "prices.yaml: together llama: from '2025-11-24T15:39:34' has no time zone",
        ),
        ("2025-11-24T15:39:34Z", "20251124", "together llama: from '20251124' has no time zone"),
        ("2025-11-24T15:39:34Z", "2025-02-29", "together llama: from '2025-02-29' is not a time"),
        ("2025-11-24T15:39:34Z", "yesterday", "together llama: from 'yesterday' is not a time such as 2026-10-19T00:00:00Z"),
        ("2025-11-24T15:39:34Z", "{}", "together llama: a version has no from"),
        ("models:", "models: []\nother:", "prices.yaml: unknown key 'other'"),
    ],
)
def test_an_invalid_sheet_is_refused_with_its_place(old, new, message):
    assert old in SHEET
    assert message in refusal(SHEET.replace(old, new))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("usd_per_million: {input_tokens: 0.1234567}", ": usd_per_million.input_tokens: '0.1234567' has more than 6 decimals"),
        ("usd_per_unit: {images: 0.0000000000001}", ": usd_per_unit.images: '0.0000000000001' has more than 12 decimals"),
        (
            "usd_per_million: {input_tokens: 0.18000000000000002}",
            ": usd_per_million.input_tokens: '0.18000000000000002' has more",
        ),
        ("usd_per_million: {input_tokens: -1}", ": usd_per_million.input_tokens: a price must be between 0 and"),
        ("usd_per_million: {input_tokens: .nan}", ": usd_per_million.input_tokens: '.nan' is not a decimal number"),
        ("usd_per_million: {input_tokens: NaN}", ": usd_per_million.input_tokens: 'NaN' is not a finite number"),
        ("usd_per_million: {input_tokens: Infinity}", ": usd_per_million.input_tokens: 'Infinity' is not a finite number"),
        ("usd_per_million: {input_tokens: free}", ": usd_per_million.input_tokens: 'free' is not a decimal number"),
        ("usd_per_million: {input_tokens: }", ": usd_per_million.input_tokens: '' is not a decimal number"),
        ("usd_per_million: {input_tokens: [1]}", ": usd_per_million.input_tokens must be a decimal number of dollars"),
        (
            "usd_per_million: {input_tokens: 1000.000001}",
            ": usd_per_million.input_tokens: 1000.000001 dollars per million exceeds the plausible limit of 1000",
        ),
        ("usd_per_unit: {images: 101}", ": usd_per_unit.images: 101 dollars each exceeds the plausible limit of 100"),
        (
            "usd_per_hour: {audio: 36001}",
            ": usd_per_hour.audio: 10.000277777777 dollars per second exceeds the plausible limit of 10",
        ),
        ("usd_per_second: {compute: 11}", ": usd_per_second.compute: 11 dollars per second exceeds the plausible limit of 10"),
        (
            "usd_per_million: {images: 1}",
            ": usd_per_million.images is not a quantity with this unit; usd_per_million has input_tokens",
        ),
        ("usd_per_million: {reasoning_tokens: 1}", ": usd_per_million.reasoning_tokens is not a quantity with this unit"),
        ("usd_per_unit: {input_tokens: 1}", ": usd_per_unit.input_tokens is not a quantity with this unit"),
        (
            "usd_per_second: {compute_ms: 1}",
            ": usd_per_second.compute_ms is not a quantity with this unit; usd_per_second has video, audio",
        ),
        ("usd_per_million: {}", ": usd_per_million must be a mapping"),
        ("usd_per_million: 3", ": usd_per_million must be a mapping, got '3'"),
        ("usd_per_token: {input_tokens: 1}", ": unknown key 'usd_per_token'"),
        ("included: [tokens]", ": included 'tokens' is not a quantity"),
        ("included: input_tokens", ": included must be a non-empty list"),
        ("included: [{input_tokens: 0}]", ": included {'input_tokens': '0'} is not a quantity"),
        (f"{PRICE}\n  included: [input_tokens]", ": included input_tokens: input_tokens is priced twice"),
        ("usd_per_second: {audio: 1}\n  usd_per_hour: {audio: 1}", ": usd_per_hour.audio: audio_ms is priced twice"),
        ("note: x", ": unknown key 'note'"),
        (f"{PRICE}\n  withdrawn: true", ": a version must be one of priced, withdrawn or unknown"),
        ("unknown: true\n  withdrawn: true", ": a version must be one of priced, withdrawn or unknown"),
        ("withdrawn: false", ": withdrawn can only be true, got 'false'"),
        ("unknown: yes", ": unknown can only be true, got 'yes'"),
        (f"{PRICE}\n  tiers: []", ": tiers must be a non-empty list"),
        (
            f"{PRICE}\n  tiers: [{{context_from: 0, {PRICE}}}]",
            ": context_from must be a whole number of tokens above zero, got '0'",
        ),
        (
            f"{PRICE}\n  tiers: [{{context_from: 1.5, {PRICE}}}]",
            ": context_from must be a whole number of tokens above zero, got '1.5'",
        ),
        (f"{PRICE}\n  tiers: [{{{PRICE}}}]", ": a tier: missing context_from"),
        (f"{PRICE}\n  tiers: [{{context_from: 9}}]", ", tier from 9: no price"),
        (
            f"{PRICE}\n  tiers: [{{context_from: 9, {PRICE}}}, {{context_from: 9, {PRICE}}}]",
            ", tier from 9: tiers must be ordered by context_from, each once",
        ),
        (
            f"usd_per_million: {{input_tokens: 1, output_tokens: 2}}\n  tiers: [{{context_from: 9, {PRICE}}}]",
            ", tier from 9: no price of output_tokens; a tier prices the whole request",
        ),
    ],
)
def test_an_invalid_version_is_refused_with_its_model_and_instant(content, message):
    refused = refusal(with_version(f"- from: 2026-01-01\n  {content}\n  source: s"))
    assert refused.startswith(f"prices.yaml: together llama from 2026-01-01{message}")


def test_a_version_with_neither_price_nor_withdrawal_is_refused():
    message = refusal(with_version("- from: 2026-01-01\n  source: s"))
    assert message == "prices.yaml: together llama from 2026-01-01: no price; add one, or withdrawn: true, or unknown: true"


def test_versions_must_be_ordered_by_instant():
    message = refusal(with_version(f"- {{from: 2026-01-02, {PRICE}, source: s}}\n- {{from: 2026-01-01, {PRICE}, source: s}}"))
    assert message == "prices.yaml: together llama from 2026-01-01: versions must be ordered by instant, oldest first"


def test_the_same_instant_twice_is_refused_even_in_another_time_zone():
    message = refusal(
        with_version(f"- {{from: 2026-01-01, {PRICE}, source: s}}\n- {{from: '2026-01-01T01:00:00+01:00', {PRICE}, source: s}}")
    )
    assert message == "prices.yaml: together llama from 2026-01-01T01:00:00+01:00: listed twice for the same instant"


def test_a_model_listed_twice_for_the_same_instant_is_refused():
    entry = SHEET[SHEET.index("  - model") :]
    assert "together llama from 2025-11-24T15:39:34Z: listed twice for the same instant" in refusal(SHEET + entry)
    assert len(read(SHEET + entry.replace("- model: llama", "- model: llama\n    operation: chat"))[0].rates) == 2


def test_a_model_listed_again_with_an_older_version_is_refused():
    older = SHEET[SHEET.index("  - model") :].replace("2025-11-24T15:39:34Z", "2025-11-23")
    assert "together llama from 2025-11-23: versions must be ordered by instant" in refusal(SHEET + older)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("currency: USD", "currency: EUR", "currency"),
        ("input_tokens: 0.88", "input_tokens: -1", "negative"),
        ("input_tokens: 0.88", "input_tokens: 1880", "implausible"),
        ("usd_per_million: {input_tokens", "usd_per_unit: {input_tokens", "unit"),
        ("source: our-prices", "<html>", "unreadable"),
        ("provider: together", "provider: Together", "malformed"),
    ],
)
def test_each_error_has_a_stable_fault(old, new, fault):
    with pytest.raises(InvalidPriceError) as refused:
        read(SHEET.replace(old, new))
    assert refused.value.fault == fault


def test_a_duplicate_key_is_refused():
    doubled = SHEET.replace("{input_tokens: 0.88,", "{input_tokens: 0.88, input_tokens: 0.99,")
    assert refusal(doubled) == "prices.yaml: line 9: the key 'input_tokens' occurs twice"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "prices.yaml: the file is empty"),
        ("# nothing\n", "prices.yaml: the file is empty"),
        ("just words", "prices.yaml must be a mapping, got 'just words'"),
        ("- a\n- b", "prices.yaml must be a mapping"),
        ("{}", "prices.yaml must be a mapping"),
        ("models: [", "not YAML: did not find expected node content"),
        ("\tmodels: 1", "prices.yaml: line 1: not YAML"),
        ("<!DOCTYPE html><html></html>", "prices.yaml: looks like HTML, not YAML"),
        ("  \n<html>", "prices.yaml: looks like HTML, not YAML"),
        (SHEET + "---\n" + SHEET, "prices.yaml: a second document begins"),
        ("a: &x 1\nb: *x", "prices.yaml: line 2: aliases (*name) are not allowed"),
        (
            "a: !!python/object:os.system x",
            "prices.yaml: line 1: tags (tag:yaml.org,2002:python/object:os.system) are not allowed",
        ),
        ("a: !!int 1", "prices.yaml: line 1: tags (tag:yaml.org,2002:int) are not allowed"),
        ("[a, b]: c", "prices.yaml: line 1: a key must be plain text"),
        ("[" * 5_000, "prices.yaml: line 1: nested more than 16 levels deep"),
        ("- " * 5_000, "prices.yaml: line 1: nested more than 16 levels deep"),
        (b"\xff\xfes\x00", "prices.yaml: not UTF-8 text"),
        ("\ud800", "prices.yaml: not UTF-8 text"),
        ("a: \x00", "prices.yaml: not YAML"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(text, message):
    assert message in refusal(text)


def test_yaml_aliases_are_not_expanded():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert refusal(bomb) == "prices.yaml: line 2: aliases (*name) are not allowed; write the value out"


def test_a_sheet_of_more_than_eight_mebibytes_is_refused_before_it_is_read():
    assert refusal("[" * (8 * 1024 * 1024 + 1)) == "prices.yaml: 8388609 bytes exceed the limit of 8388608"


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_raises_the_documented_error(text):
    with pytest.raises(InvalidPriceError):
        read(text)
