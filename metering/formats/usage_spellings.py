"""Where a response states its usage, and other APIs' names for it, translated to OpenAI's or Anthropic's.

Sources: the API references of Groq (``x_groq``), Cohere (``meta.billed_units``, ``usage.tokens``), Gemini (``usageMetadata``),
Bedrock Converse (``inputTokens``) and LangChain (``usage_metadata``).
"""

from typing import Any

# Translated from Cohere's billed units; ``input_tokens`` and ``output_tokens`` have OpenAI's names already.
SEARCH_UNITS = "search_units"
# What else a response may have next to ``usage`` that counts something, by name.
BESIDE_USAGE = frozenset({"usageMetadata", "usage_metadata", "meta", "token_usage", "x_groq", "perf_metrics", "metrics"})


def usage_of(body: dict[str, Any]) -> tuple[object, str]:
    """Return the usage that a response states, in OpenAI's or Anthropic's names, and the field that states it.

    (None, "") if there is none.
    """
    usage = body.get("usage")
    if usage:
        return (_translated(usage) if isinstance(usage, dict) else usage), "usage"
    if _object(_object(body, "x_groq"), "usage"):
        return _object(body["x_groq"], "usage"), "x_groq"
    if _object(body, "usageMetadata"):
        return _of_gemini(body["usageMetadata"]), "usageMetadata"
    if _object(body, "usage_metadata"):
        return _of_langchain(body["usage_metadata"]), "usage_metadata"
    if _object(_object(body, "meta"), "billed_units"):
        return _object(body["meta"], "billed_units"), "meta"
    return usage, ""


def _translated(usage: dict[str, Any]) -> dict[str, Any]:
    if "inputTokens" in usage or "outputTokens" in usage:
        return _of_bedrock(usage)
    if "billed_units" in usage:
        return _of_cohere(usage)
    return usage


def _of_cohere(usage: dict[str, Any]) -> dict[str, Any]:
    inner = _object(usage, "billed_units") or _object(usage, "tokens")
    others = {name: value for name, value in usage.items() if name not in ("billed_units", "tokens")}
    return {**others, **inner}


def _of_bedrock(usage: dict[str, Any]) -> dict[str, Any]:
    names = {
        "inputTokens": "input_tokens",
        "outputTokens": "output_tokens",
        "cacheReadInputTokens": "cache_read_input_tokens",
        "cacheWriteInputTokens": "cache_creation_input_tokens",
        "totalTokens": "total_tokens",
    }
    return {names.get(name, name): value for name, value in usage.items()}


def _of_gemini(usage: dict[str, Any]) -> dict[str, Any]:
    """Return Gemini's counts: its candidates exclude the thoughts, and its prompt excludes the prompts of tools."""
    return {
        "prompt_tokens": _sum(usage, "promptTokenCount", "toolUsePromptTokenCount"),
        "completion_tokens": _sum(usage, "candidatesTokenCount", "thoughtsTokenCount"),
        "total_tokens": usage.get("totalTokenCount"),
        "prompt_tokens_details": {"cached_tokens": usage.get("cachedContentTokenCount")},
        "completion_tokens_details": {"reasoning_tokens": usage.get("thoughtsTokenCount")},
    }


def _of_langchain(usage: dict[str, Any]) -> dict[str, Any]:
    sent, produced = _object(usage, "input_token_details"), _object(usage, "output_token_details")
    inputs = {"cache_read": "cached_tokens", "cache_creation": "cache_write_tokens", "audio": "audio_tokens"}
    outputs = {"reasoning": "reasoning_tokens", "audio": "audio_tokens"}
    return {
        **usage,
        "input_token_details": {inputs.get(name, name): value for name, value in sent.items()},
        "output_token_details": {outputs.get(name, name): value for name, value in produced.items()},
    }


def _sum(usage: dict[str, Any], *names: str) -> Any:
    """Return the sum of counts; the first that is stated and no integer, so that it is refused by its value; None for none."""
    stated = [usage[name] for name in names if usage.get(name) is not None]
    broken = next((value for value in stated if not isinstance(value, int) or isinstance(value, bool)), None)
    if broken is not None:
        return broken
    return sum(stated) if stated else None


def _object(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}
