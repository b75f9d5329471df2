"""A model name names its provider only with a known suffix."""

import pytest

from metering.domain.usage.model_names import provider_name, split_model


@pytest.mark.parametrize(
    ("name", "provider", "expected"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct:together", "unknown", ("meta-llama/Llama-3.3-70B-Instruct", "together")),
        ("m:fireworks_ai", "unknown", ("m", "fireworks-ai")),
        ("m:fastest", "unknown", ("m", "unknown")),
        ("m:cheapest", "groq", ("m", "groq")),
        ("m:preferred", "unknown", ("m", "unknown")),
        ("m:together", "groq", ("m", "groq")),
        ("qwen:7b", "unknown", ("qwen:7b", "unknown")),
        ("qwen:7b:together", "unknown", ("qwen:7b", "together")),
        ("m", "together", ("m", "together")),
        (":together", "unknown", (":together", "unknown")),
        ("m:", "unknown", ("m:", "unknown")),
        ("", "unknown", ("", "unknown")),
    ],
)
def test_only_known_suffixes_are_split_off_and_a_stated_provider_wins(name, provider, expected):
    assert split_model(name, provider) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("together_ai", "together"),
        ("TogetherAI", "together"),
        ("fal", "fal-ai"),
        ("Groq", "groq"),
        (" hf_inference ", "hf-inference"),
        ("somebody-new", "somebody-new"),
        ("", "unknown"),
        ("  ", "unknown"),
    ],
)
def test_a_known_provider_has_one_spelling_and_an_unknown_one_is_kept(name, expected):
    assert provider_name(name) == expected
