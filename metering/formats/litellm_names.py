"""LiteLLM's names: models with their provider in front, and the columns of its spend logs.

Source: LiteLLM's StandardLoggingPayload and SpendLogs. ``together_ai/Qwen/Qwen3-32B`` is Qwen/Qwen3-32B at Together, and
``huggingface/together/Qwen/Qwen3-32B`` is the same through Hugging Face's router.
"""

from metering.domain.usage.model_names import PROVIDERS, provider_name

PROVIDER_FIELD = "custom_llm_provider"
# LiteLLM's column of an event field, where a log has no column with the field's own name.
SPEND_LOG_COLUMNS = {
    "id": "request_id",
    "time": "startTime",
    "end_time": "endTime",
    "provider": PROVIDER_FIELD,
    "output_tokens": "completion_tokens",
}

_HUGGING_FACE = "huggingface"
# "openai/" is also the name of an organization on Hugging Face: openai/gpt-oss-120b.
_ALSO_ORGANIZATIONS = frozenset({"openai"})


def without_provider(model: str, litellm_provider: str) -> tuple[str, str]:
    """Return (model, provider) of a model name at the provider that LiteLLM states; the provider is empty if unknown."""
    provider = litellm_provider.strip()
    if provider and provider not in _ALSO_ORGANIZATIONS:
        model = model.removeprefix(f"{provider}/") or model
    if provider == _HUGGING_FACE:
        served_by, slash, rest = model.partition("/")
        if slash and provider_name(served_by) in PROVIDERS and "/" in rest:
            return rest, served_by
        return model, ""
    return model, provider
