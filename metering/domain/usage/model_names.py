"""Model names: the model, and sometimes the provider that served it.

The router accepts ``model:provider`` and the policies ``:fastest``, ``:cheapest`` and ``:preferred``. A policy does not name
the provider that served the request. Only known providers are split off, because a colon can be part of a model's own name.
"""

from metering.domain.usage.events import UNKNOWN
from pricing.partners import PARTNERS

POLICIES = frozenset({"fastest", "cheapest", "preferred"})

PROVIDERS = frozenset(partner.name for partner in PARTNERS)
"""All partners the router has or had, in Hugging Face's spelling: old records name those that left."""

# How other tools spell them.
PROVIDER_ALIASES = {
    "cohere_chat": "cohere",
    "deep_infra": "deepinfra",
    "fal": "fal-ai",
    "fal_ai": "fal-ai",
    "featherless": "featherless-ai",
    "featherless_ai": "featherless-ai",
    "fireworks": "fireworks-ai",
    "fireworks_ai": "fireworks-ai",
    "hf_inference": "hf-inference",
    "novita_ai": "novita",
    "novita-ai": "novita",
    "ovh": "ovhcloud",
    "public_ai": "publicai",
    "together-ai": "together",
    "together_ai": "together",
    "togetherai": "together",
    "z-ai": "zai-org",
    "zai": "zai-org",
    "zai_org": "zai-org",
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
