"""Errors that a record states other than by an HTTP status. Only a stated error makes a request a failure.

The error's code or type is kept; its message is not, because it may repeat the prompt.
"""

import re
from typing import Any

from metering.formats.record_fields import FAILURE_CODE

FAILED_WORDS = frozenset({"failed", "failure", "error", "errored"})
ANSWERED_WORDS = frozenset({"success", "succeeded", "ok", "completed", "complete", "finished"})
_SIGNS = frozenset({"error", "type", "status"})
_USUAL_REASONS = frozenset({"stop", "length", "tool_calls"})
_UNNAMED = "error"
_CODE = re.compile(FAILURE_CODE)


def stated_failure(record: dict[str, Any], response: dict[str, Any]) -> str:
    """Return a short code of the error that a record or its response states; empty if they state none."""
    if not _SIGNS.isdisjoint(response):
        code = _stated_by(response)
        if code:
            return code
    if record is not response and not _SIGNS.isdisjoint(record):
        code = _stated_by(record)
        if code:
            return code
    return _failed_finish(response) if "choices" in response else ""


def _stated_by(record: dict[str, Any]) -> str:
    error = record.get("error")
    if error:
        code = _error(error)
        if code:
            return code
    if record.get("type") == "error":
        return _UNNAMED
    word = record.get("status")
    return word.lower() if isinstance(word, str) and word.lower() in FAILED_WORDS else ""


def _error(error: object) -> str:
    if not error:
        return ""
    if isinstance(error, dict):
        if not any(value not in (None, "", False) for value in error.values()):
            return ""
        named = [error.get(name) for name in ("code", "type", "status")]
    else:
        named = [error]
    for name in named:
        text = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
        if isinstance(text, str) and _CODE.fullmatch(text):
            return text
    return _UNNAMED


def _failed_finish(response: dict[str, Any]) -> str:
    """Return a code if every choice ended with an error. If one of several was answered, so was the request."""
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices:
        return ""
    for choice in choices:
        reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        if not isinstance(reason, str) or reason in _USUAL_REASONS or not _is_an_error(reason):
            return ""
    return _error(choices[0]["finish_reason"])


def _is_an_error(reason: str) -> bool:
    return "error" in reason.lower() or reason.lower() in FAILED_WORDS
