"""Who can have served a routed request, by date."""

from datetime import date

import pytest

from metering.domain.usage.model_names import split_model
from pricing.partners import PARTNERS, is_partner


def test_the_partners_of_november_2026_are_those_of_the_routers_list():
    now = {partner.name for partner in PARTNERS if partner.serves(date(2026, 11, 30))}
    assert now == {
        "baseten", "cerebras", "cohere", "deepinfra", "fal-ai", "featherless-ai", "fireworks-ai", "groq", "hf-inference",
        "novita", "nscale", "openai", "ovhcloud", "publicai", "replicate", "scaleway", "together", "wavespeed", "zai-org",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "last", "first_without"),
    [
        ("nebius", date(2026, 1, 21), date(2026, 1, 22)),
        ("hyperbolic", date(2026, 6, 28), date(2026, 6, 29)),
        ("sambanova", date(2026, 6, 28), date(2026, 6, 29)),
    ],
)
def test_a_partner_that_left_served_until_the_day_before_and_keeps_its_name(name, last, first_without):
    assert (is_partner(name, last), is_partner(name, first_without)) == (True, False)
    assert split_model(f"some/model:{name}") == ("some/model", name)


def test_a_partner_that_joined_serves_from_its_first_day():
    assert [is_partner("baseten", day) for day in (date(2026, 8, 5), date(2026, 8, 6))] == [False, True]
    assert [is_partner("deepinfra", day) for day in (date(2026, 4, 28), date(2026, 4, 29))] == [False, True]


def test_a_name_that_is_not_known_may_be_a_new_partner():
    assert is_partner("acme-gpus", date(2026, 11, 1))
