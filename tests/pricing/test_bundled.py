"""The bundled prices agree with the record at every instant, and each entry has its source."""

import csv
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pricing.book import PriceBook
from pricing.bundled import bundled_plans, bundled_tables
from pricing.quantities import Quantities
from pricing.rating import charge
from pricing.tables import Layer, key_of
from support.places import DATA
from support.presence import present

HISTORY = DATA / "prices" / "hf_router_price_history.csv"


@pytest.fixture(scope="module")
def book():
    return PriceBook(bundled_tables())


def micros(text):
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def prices(book, provider, model, when, route="routed"):
    """USD per million tokens in and out, as decimals; None where there is no rate."""
    instant = when if isinstance(when, int) else micros(when)
    rate = book.rate_for(None, route, (provider, model, "chat"), instant)
    if rate is None:
        return None
    return tuple(Decimal(rate.prices[kind].pico).scaleb(-6) for kind in ("input_tokens", "output_tokens"))


def usd(*amounts):
    return tuple(Decimal(amount) for amount in amounts)


# Read manually in the record: (provider, model, an instant, input, output).
@pytest.mark.parametrize(
    ("provider", "model", "when", "expected"),
    [
        ("cerebras", "meta-llama/Llama-3.3-70B-Instruct", "2025-11-24T15:39:34Z", usd("0.85", "1.2")),
        ("cerebras", "openai/gpt-oss-120b", "2025-11-24T15:39:34Z", usd("0.25", "0.69")),
        ("fireworks-ai", "deepseek-ai/DeepSeek-R1-0528", "2025-11-25T00:00:00Z", usd("3", "8")),
        ("together", "Qwen/Qwen2.5-72B-Instruct", "2025-11-24T15:39:33.999999Z", None),
        ("together", "Qwen/Qwen2.5-72B-Instruct", "2025-11-24T15:39:34Z", usd("1.2", "1.2")),
        ("together", "Qwen/Qwen2.5-72B-Instruct", "2026-03-20T20:29:48.999999Z", usd("1.2", "1.2")),
        ("together", "Qwen/Qwen2.5-72B-Instruct", "2026-03-20T20:29:49Z", None),
        ("together", "meta-llama/Llama-3.2-3B-Instruct", "2026-01-01T00:00:00Z", usd("0.06", "0.06")),
        ("together", "meta-llama/Llama-3.3-70B-Instruct", "2026-10-18T23:59:59.999999Z", usd("0.88", "0.88")),
        ("together", "meta-llama/Llama-3.3-70B-Instruct", "2026-10-19T00:00:00Z", usd("1.04", "1.04")),
        ("together", "meta-llama/Llama-3-70b-chat-hf", "2025-11-24T00:00:00Z", usd("0.90", "0.90")),
        ("together", "meta-llama/Llama-3-70b-chat-hf", "2026-11-30T23:59:59Z", usd("0.90", "0.90")),
    ],
)
def test_bundled_prices_are_in_force_at_their_instants(book, provider, model, when, expected):
    assert prices(book, provider, model, when) == expected


def test_a_partners_own_list_applies_on_its_key(book):
    assert prices(book, "together", "meta-llama/Llama-3-70b-chat-hf", "2026-11-01", "provider_key") == usd("0.90", "0.90")
    assert prices(book, "together", "meta-llama/Llama-3.3-70B-Instruct", "2026-11-01", "provider_key") is None


@pytest.mark.parametrize("route", ["routed", "provider_key"])
@pytest.mark.parametrize(
    ("model", "used", "amount_nano"),
    [
        ("fal-ai/flux/dev", {"images": 1, "megapixels": 2}, 50_000_000),
        ("black-forest-labs/FLUX.1-dev", {"images": 1, "megapixels": 1}, 25_000_000),
        ("black-forest-labs/FLUX.1-schnell", {"images": 4}, 12_000_000),
        ("fal-ai/flux-pro/v1.1-ultra", {"images": 1, "megapixels": 4}, 60_000_000),
        ("fal-ai/imagen4/preview", {"images": 1}, 39_800_000),
    ],
)
def test_fal_images_have_fals_price_on_both_routes(book, route, model, used, amount_nano):
    rate = book.rate_for(None, route, ("fal-ai", model, "text-to-image"), micros("2026-11-01"))
    assert present(charge(Quantities(**used), rate)).amount_nano == amount_nano


def test_an_image_priced_by_size_is_unpriced_without_its_size(book):
    rate = book.rate_for(None, "routed", ("fal-ai", "fal-ai/flux/dev", "text-to-image"), micros("2026-11-01"))
    assert charge(Quantities(images=1), rate) is None


def test_compute_time_has_a_price_on_the_serverless_route_only(book):
    flux = ("hf-inference", "black-forest-labs/FLUX.1-dev", "text-to-image")
    assert book.rate_for(None, "serverless", flux, micros("2026-11-01")) is not None
    assert book.rate_for(None, "routed", flux, micros("2026-11-01")) is None


def test_every_bundled_rate_has_its_source():
    rates = [rate for table in bundled_tables() for rate in table.rates]
    assert len(rates) > 300
    assert [rate for rate in rates if not rate.source] == []


def test_a_list_in_several_files_is_one_table_per_route_and_instant():
    versions = [(table.source, table.route, table.effective_from) for table in bundled_tables()]
    assert len(set(versions)) == len(versions)
    assert {table.layer for table in bundled_tables()} == {Layer.BUNDLED}
    first = next(table for table in bundled_tables() if table.source == "hf_router" and len(table.rates) > 100)
    assert len({key_of(rate)[0] for rate in first.rates}) == 9


@pytest.mark.parametrize(
    ("plan", "on", "credit_nano", "pay_as_you_go", "elsewhere"),
    [
        ("free", date(2025, 6, 30), None, False, False),
        ("free", date(2025, 7, 1), 100_000_000, False, False),
        ("free", date(2026, 9, 1), 100_000_000, False, False),
        ("free", date(2026, 10, 31), 100_000_000, False, False),
        ("free", date(2026, 11, 1), 0, False, False),
        ("free", date(2030, 1, 1), 0, False, False),
        ("pro", date(2025, 2, 4), 2_000_000_000, True, False),
        ("pro", date(2026, 8, 20), 2_000_000_000, True, False),
        ("pro", date(2026, 8, 21), 2_000_000_000, True, True),
        ("team", date(2026, 8, 21), 2_000_000_000, True, True),
        ("enterprise", date(2025, 2, 4), 2_000_000_000, True, False),
        ("enterprise", date(2026, 8, 21), 2_000_000_000, True, True),
    ],
)
def test_plans_have_the_documented_terms_on_their_dates(plan, on, credit_nano, pay_as_you_go, elsewhere):
    terms = present(bundled_plans().terms(plan, on))
    assert (terms.included_credit_nano, terms.pay_as_you_go, terms.credits_pay_elsewhere) == (
        credit_nano,
        pay_as_you_go,
        elsewhere,
    )
    assert terms.source


def test_fees_are_as_documented_or_unknown():
    before = {plan: present(bundled_plans().terms(plan, date(2026, 9, 30))).fee_cents for plan in bundled_plans().plans}
    assert before == {"free": 0, "pro": 900, "team": None, "enterprise": None}
    fees = {plan: present(bundled_plans().terms(plan, date(2026, 10, 1))).fee_cents for plan in bundled_plans().plans}
    assert fees == {"free": 0, "pro": 900, "team": 2_000, "enterprise": 5_000}
    assert bundled_plans().plans == ("free", "pro", "team", "enterprise")


def test_a_plan_has_no_terms_before_its_first_entry():
    assert bundled_plans().terms("free", date(2025, 2, 3)) is None
    assert bundled_plans().terms("team", date(2025, 3, 31)) is None


@pytest.fixture(scope="module")
def history():
    if not HISTORY.exists():
        pytest.skip("the record of the router's prices (../shared) is not here")
    moments = set()
    listed: dict[tuple[str, str], dict[int, tuple[Decimal, ...] | None]] = defaultdict(dict)
    with HISTORY.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            moment = micros(row["committed_at"])
            moments.add(moment)
            written = (row["input_usd_per_mtok"], row["output_usd_per_mtok"])
            known = tuple(round(Decimal(text), 6) for text in written) if all(written) else None
            listed[row["hf_provider"], row["model_id"]][moment] = known
    return sorted(moments), listed


def test_every_recorded_price_is_in_force_until_the_microsecond_before_the_next(book, history):
    moments, listed = history
    assert (len(moments), len(listed)) == (9, 228)
    wrong = []
    for (provider, model), at in listed.items():
        before = None
        for moment in moments:
            now = at.get(moment)
            found = [prices(book, provider, model, moment + step) for step in (-1, 0, 1)]
            if found != [before, now, now]:
                wrong.append((provider, model, moment, found, before, now))
            before = now
    assert wrong == []


def test_no_price_of_the_router_is_bundled_that_is_not_in_the_record(history):
    moments, listed = history
    bundled = {
        key_of(rate)[:2]
        for table in bundled_tables()
        if table.source == "hf_router" and table.effective_from <= moments[-1]
        for rate in table.rates
    }
    assert bundled <= listed.keys()
