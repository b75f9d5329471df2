"""A stated total decides what the counts of a usage include: the reading that adds up to it is taken."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.errors import RecordError
from metering.formats.openai_usage import stated_usage
from metering.formats.unread_fields import UnreadFields
from pricing.quantities import Quantities


def read(usage, operation="chat"):
    return stated_usage(usage, UnreadFields(), operation)


A_COST = Decimal("0.00012")

CHAT = {
    "inside": {"prompt_tokens": 500, "completion_tokens": 90, "total_tokens": 590,
               "prompt_tokens_details": {"cached_tokens": 100}, "completion_tokens_details": {"reasoning_tokens": 60}},
    "reasoning beside": {"prompt_tokens": 500, "completion_tokens": 90, "total_tokens": 650,
                         "prompt_tokens_details": {"cached_tokens": 100},
                         "completion_tokens_details": {"reasoning_tokens": 60}},
    "more reasoning than completion": {"prompt_tokens": 500, "completion_tokens": 20, "total_tokens": 580,
                                       "completion_tokens_details": {"reasoning_tokens": 60}},
    "cached beside": {"prompt_tokens": 500, "completion_tokens": 90, "total_tokens": 1290,
                      "prompt_tokens_details": {"cached_tokens": 700}},
    "cached beside, in Anthropic's names": {"input_tokens": 500, "cache_read_input_tokens": 700, "output_tokens": 90,
                                            "total_tokens": 1290},
    "cached inside, in Anthropic's names": {"input_tokens": 1200, "cache_read_input_tokens": 700, "output_tokens": 90,
                                            "total_tokens": 1290},
    "both beside": {"prompt_tokens": 500, "completion_tokens": 90, "total_tokens": 1350,
                    "prompt_tokens_details": {"cached_tokens": 700}, "completion_tokens_details": {"reasoning_tokens": 60}},
    "the other pair of names": {"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 500, "output_tokens": 90,
                                "total_tokens": 590},
    "the other pair, without a total": {"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 500, "output_tokens": 90},
    "the second pair adds up": {"prompt_tokens": 7, "completion_tokens": 9, "input_tokens": 500, "output_tokens": 90,
                                "total_tokens": 590},
    "one of each pair": {"prompt_tokens": 500, "completion_tokens": 0, "input_tokens": 0, "output_tokens": 90,
                         "total_tokens": 590},
}  # fmt: skip
RIGHT = {
    "inside": Quantities(input_tokens=400, cache_read_tokens=100, output_tokens=90, reasoning_tokens=60),
    "reasoning beside": Quantities(input_tokens=400, cache_read_tokens=100, output_tokens=150, reasoning_tokens=60),
    "more reasoning than completion": Quantities(input_tokens=500, output_tokens=80, reasoning_tokens=60),
    "cached beside": Quantities(input_tokens=500, cache_read_tokens=700, output_tokens=90),
    "cached beside, in Anthropic's names": Quantities(input_tokens=500, cache_read_tokens=700, output_tokens=90),
    "cached inside, in Anthropic's names": Quantities(input_tokens=500, cache_read_tokens=700, output_tokens=90),
    "both beside": Quantities(input_tokens=500, cache_read_tokens=700, output_tokens=150, reasoning_tokens=60),
    "the other pair of names": Quantities(input_tokens=500, output_tokens=90),
    "the other pair, without a total": Quantities(input_tokens=500, output_tokens=90),
    "the second pair adds up": Quantities(input_tokens=500, output_tokens=90),
    "one of each pair": Quantities(input_tokens=500, output_tokens=90),
}


@pytest.mark.parametrize("name", CHAT)
def test_the_reading_that_adds_up_to_the_total_is_taken(name):
    found = read(CHAT[name])
    assert (found.quantities, found.estimate_reason) == (RIGHT[name], "")


def test_the_plain_reading_comes_first_where_two_add_up():
    """Of 1,000 prompt tokens 400 are cached; as the names stand it adds up, though the pair of other names does, too."""
    usage = {
        "prompt_tokens": 1000, "completion_tokens": 50, "input_tokens": 600, "output_tokens": 450, "total_tokens": 1050,
        "prompt_tokens_details": {"cached_tokens": 400},
    }  # fmt: skip
    assert read(usage).quantities == Quantities(input_tokens=600, cache_read_tokens=400, output_tokens=50)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 500, "completion_tokens": 90, "total_tokens": 9000},
        {"prompt_tokens": 500, "completion_tokens": 90, "total_tokens": 1},
        {
            "prompt_tokens": 500,
            "completion_tokens": 90,
            "total_tokens": 591,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    ],
)
def test_an_estimate_is_marked_where_nothing_adds_up(usage):
    found = read(usage)
    assert (found.quantities.input_tokens, found.quantities.output_tokens) == (500, 90)
    assert found.estimate_reason == "total_tokens_differs"


def test_a_possible_reading_is_taken_where_the_plain_one_is_impossible_and_nothing_adds_up():
    usage = {
        "prompt_tokens": 500, "completion_tokens": 20, "total_tokens": 999,
        "completion_tokens_details": {"reasoning_tokens": 60},
    }  # fmt: skip
    found = read(usage)
    assert found.quantities == Quantities(input_tokens=500, output_tokens=80, reasoning_tokens=60)
    assert found.estimate_reason == "total_tokens_differs"


@pytest.mark.parametrize("total", [0, None, -5, "590", True, 12.5, float("nan")])
def test_a_total_that_is_no_count_is_not_checked(total):
    found = read({"prompt_tokens": 500, "completion_tokens": 90, "total_tokens": total})
    assert (found.quantities, found.estimate_reason) == (Quantities(input_tokens=500, output_tokens=90), "")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 1500},
        {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
        {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
        {"type": "duration", "seconds": 0},
    ],
)
def test_usage_of_nothing_but_zeros_is_not_stated(usage):
    found = read(usage)
    assert (found.quantities, found.reported_cost_nano) == (None, None)


def test_images_without_details_are_image_tokens():
    usage = {"input_tokens": 40, "output_tokens": 1056, "total_tokens": 1096, "input_tokens_details": {"text_tokens": 40}}
    assert read(usage, "image_generation").quantities == Quantities(input_tokens=40, output_image_tokens=1056)
    assert read(usage, "chat").quantities == Quantities(input_tokens=40, output_tokens=1056)
    detailed = {**usage, "output_tokens_details": {"text_tokens": 56, "image_tokens": 1000}}
    assert read(detailed, "image_generation").quantities == Quantities(
        input_tokens=40, output_tokens=56, output_image_tokens=1000
    )


@pytest.mark.parametrize("operation", ["embeddings", "rerank"])
def test_a_total_alone_is_the_input_of_what_has_no_output(operation):
    assert read({"total_tokens": 512}, operation).quantities == Quantities(input_tokens=512)
    assert read({"prompt_tokens": 0, "total_tokens": 512}, operation).quantities == Quantities(input_tokens=512)
    assert read({"total_tokens": 512}, "chat").quantities is None


@pytest.mark.parametrize(
    ("usage", "five", "hour"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cache_write_5m_tokens": 9}}, 9, 0),
        ({"prompt_tokens": 100, "completion_tokens": 1,
          "prompt_tokens_details": {"cache_write_tokens": 12, "cache_write_1h_tokens": 12}}, 0, 12),
        ({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cache_creation_tokens": 8}}, 8, 0),
        ({"input_tokens": 88, "output_tokens": 1, "cache_read_input_tokens": 0,
          "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7}}, 5, 7),
    ],
)  # fmt: skip
def test_what_was_written_to_a_cache_is_read_from_the_details_too(usage, five, hour):
    quantities = read(usage).quantities
    assert (quantities.cache_write_tokens, quantities.cache_write_1h_tokens) == (five, hour)
    assert quantities.prompt_tokens == 100


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        ({"cost": A_COST}, 120_000), ({"estimated_cost": A_COST}, 120_000), ({"cost": {"total_cost": A_COST}}, 120_000),
        ({"cost": None, "estimated_cost": A_COST}, 120_000), ({"cost": "cheap"}, None), ({}, None), ({"cost": 0}, 0),
    ],
)  # fmt: skip
def test_the_providers_own_cost_is_its_report(usage, nano):
    found = read({"prompt_tokens": 5, "completion_tokens": 1, **usage} if usage else {"prompt_tokens": 5})
    assert found.reported_cost_nano == nano


def test_unread_fields_are_named_also_inside_the_details():
    unread = UnreadFields(("usage.service_tier",))
    usage = {
        "prompt_tokens": 5, "completion_tokens": 1, "service_tier": "flex", "speed": "fast", "nothing": None,
        "server_tool_use": {"searches": 3, "fetches": None}, "prompt_tokens_details": {"video_tokens": 60, "odd": None},
    }  # fmt: skip
    stated_usage(usage, unread)
    assert unread.drain() == {
        "usage.speed": 1,
        "usage.server_tool_use.searches": 1,
        "usage.prompt_tokens_details.video_tokens": 1,
    }


counts = st.integers(0, 3_000)


@given(counts, counts, counts, counts, st.booleans(), st.booleans())
def test_every_token_of_the_total_is_counted_once_however_a_provider_counts(
    prompt, completion, cached, reasoning, beside, apart
):
    """The oracle states the usage of known buckets in one of four conventions; they are found again by the total."""
    fresh, said = prompt, completion
    total = fresh + cached + said + reasoning
    if not total:
        return
    usage = {
        "prompt_tokens": fresh if beside else fresh + cached, "completion_tokens": said if apart else said + reasoning,
        "total_tokens": total, "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }  # fmt: skip
    found = read(usage)
    if usage["prompt_tokens"] == usage["completion_tokens"] == 0:
        return
    quantities = found.quantities
    assert found.estimate_reason == ""
    assert quantities.prompt_tokens + quantities.output_tokens == total


numbers = st.integers(-3, 4_000_000_000) | st.none() | st.floats() | st.text(max_size=3) | st.booleans()
names = st.sampled_from(
    ["prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens",
     "cache_read_input_tokens", "cache_creation_input_tokens", "cost", "estimated_cost", "seconds", "type", "search_units"]
)  # fmt: skip
details = st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "image_tokens", "reasoning_tokens", "x"]), numbers)


@given(
    st.dictionaries(names, numbers),
    details | numbers,
    details | numbers,
    st.sampled_from(["chat", "image_generation", "rerank"]),
)
def test_no_usage_breaks_the_reader(usage, sent, produced, operation):
    try:
        found = read({**usage, "prompt_tokens_details": sent, "output_tokens_details": produced}, operation)
    except RecordError:
        return
    assert found.quantities is None or found.quantities != Quantities()
