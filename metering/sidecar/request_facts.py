"""What the sidecar reads from the body of a request: the model, whether it streams, and how long its prompt and answer can be.

The prompt is not decoded, only measured. See ``estimates`` for how bytes become tokens.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from metering.formats.json_records import nested_json

_MULTIPART_MODEL = re.compile(rb'name="?model"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{1,255})\r\n')
_ANY_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,255})"')
# A quoted name in a text has a backslash before its second quote, so only the name of a field matches.
_OPTIONS = re.compile(rb'"stream_options"\s*:\s*')
_SEARCHED_BYTES = 64 * 1024


class BodyFacts(Struct, frozen=True):
    """What is known about a request before it is answered.

    ``states_stream_options``: it says whether its stream has usage. ``stream_options`` are all of its options, as written.
    ``prompt_bytes`` is the size of what becomes the prompt; ``max_output_tokens`` None: the request sets no limit. ``text`` is
    the text to be spoken, of requests for speech only: providers charge for its characters. It is never stored.
    """

    model: str = ""
    is_stream: bool = False
    states_stream_options: bool = False
    stream_options: bytes = b""
    prompt_bytes: int = 0
    max_output_tokens: int | None = None
    choices: int = 1
    text: str = ""


class _Body(Struct):
    model: str | None = None
    stream: bool | None = None
    stream_options: Raw = Raw()
    messages: Raw = Raw()
    input: Raw = Raw()
    prompt: Raw = Raw()
    system: Raw = Raw()
    instructions: Raw = Raw()
    tools: Raw = Raw()
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None


_decode = msgspec.json.Decoder(_Body).decode


def facts_of(body: bytes, *, speaks: bool = False) -> BodyFacts:
    """Read the body of a request. A body that is not JSON, or not as expected, states what can be found in it, or nothing."""
    try:
        read = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _unusual_facts(body)
    options = bytes(read.stream_options)
    limits = [each for each in (read.max_tokens, read.max_completion_tokens, read.max_output_tokens) if each is not None]
    return BodyFacts(
        model=read.model or "",
        is_stream=bool(read.stream),
        states_stream_options=_states_usage(options),
        stream_options=options,
        prompt_bytes=sum(map(len, (read.messages, read.input, read.prompt, read.system, read.instructions, read.tools))),
        max_output_tokens=max(0, *limits) if limits else None,
        choices=max(1, min(read.n or 1, 128)),
        text=_text(read.input) if speaks else "",
    )


def facts_of_part(start: bytes) -> BodyFacts:
    """Read what can be found in the start of a body that is not kept whole: a form with a file, or a very long prompt."""
    found = _MULTIPART_MODEL.search(start, 0, _SEARCHED_BYTES) or _ANY_MODEL.search(start, 0, _SEARCHED_BYTES)
    return BodyFacts(model=found.group(1).decode("utf-8", "replace") if found else "")


def _unusual_facts(body: bytes) -> BodyFacts:
    decoded: Any = nested_json(body) if body[:1] == b"{" else None
    if not isinstance(decoded, dict):
        return facts_of_part(body)
    model, limit = decoded.get("model"), decoded.get("max_tokens")
    return BodyFacts(
        model=model if isinstance(model, str) else "",
        is_stream=decoded.get("stream") is True,
        states_stream_options="stream_options" in decoded,
        prompt_bytes=len(body),
        max_output_tokens=limit if isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0 else None,
    )


def _text(raw: Raw) -> str:
    value = nested_json(bytes(raw)) if raw else None
    return value if isinstance(value, str) else ""


def _states_usage(options: bytes) -> bool:
    """Whether the options of a stream say whether it has usage, or cannot be added to."""
    if options in (b"", b"null"):
        return False
    value = nested_json(options)
    return not isinstance(value, dict) or "include_usage" in value


def with_usage_asked_for(body: bytes, options: bytes) -> bytes:
    """Return the body of a stream's request with ``stream_options.include_usage``. Every other byte stays as it is.

    ``options`` that the body states are kept. If it is unclear where they are, nothing is asked for.
    """
    if not options:
        end = body.rfind(b"}")
        separator = b"" if body[:end].rstrip().endswith(b"{") else b","
        return body[:end] + separator + b'"stream_options":{"include_usage":true}' + body[end:]
    places = [each.end() for each in _OPTIONS.finditer(body) if body.startswith(options, each.end())]
    if len(places) != 1:
        return body
    inside = options.strip()[1:-1].strip() if options != b"null" else b""
    separator = b"," if inside else b""
    return body[: places[0]] + b'{"include_usage":true' + separator + inside + b"}" + body[places[0] + len(options) :]
