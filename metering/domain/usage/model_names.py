"""Model names: the model, and sometimes the provider that served it.

The router accepts ``model:provider`` and the policies ``:fastest``, ``:cheapest`` and ``:preferred``. A policy does not name
the provider that served the request. Only known providers are split off, because a colon can be part of a model's own name.
"""

from metering.domain.usage.events import UNKNOWN

POLICIES = frozenset({"fastest", "cheapest", "preferred"})

# The partners listed by the router's client, in Hugging Face's spelling.
PROVIDERS = frozenset(
    {
        "baseten", "cerebras", "cohere", "deepinfra", "fal-ai", "featherless-ai", "fireworks-ai", "groq", "hf-inference",
        "hyperbolic", "nebius", "novita", "nscale", "openai", "ovhcloud", "publicai", "replicate", "sambanova",
        "scaleway", "together", "wavespeed", "zai-org",
    }
)  # fmt: skip

# How other tools spell them.
PROVIDER_ALIASES = {
    "fal": "fal-ai",
    "fal_ai": "fal-ai",
    "featherless": "featherless-ai",
    "featherless_ai": "featherless-ai",
    "fireworks": "fireworks-ai",
    "fireworks_ai": "fireworks-ai",
    "hf_inference": "hf-inference",
    "together_ai": "together",
    "togetherai": "together",
    "zai": "zai-org",
}


def split_model(name: str, provider: str = UNKNOWN) -> tuple[str, str]:
    """Return (model, provider) of a requested name such as ``meta-llama/Llama-3.3-70B-Instruct:together``.

    A provider that the record states wins over the suffix.
    """
    model, colon, suffix = name.rpartition(":")
    if not colon or not model:
        return name, provider
    if suffix in POLICIES:
        return model, provider
    served_by = provider_name(suffix)
    if served_by in PROVIDERS:
        return model, served_by if provider == UNKNOWN else provider
    return name, provider


def provider_name(name: str) -> str:
    """Return a provider's name in Hugging Face's spelling; an unknown name is only lowercased."""
    lowered = name.strip().lower()
    if not lowered:
        return UNKNOWN
    return PROVIDER_ALIASES.get(lowered, lowered)
