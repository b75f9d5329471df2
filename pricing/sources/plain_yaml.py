"""Plain YAML: mappings, lists and texts only.

Every scalar stays the text that was written: ``0.88`` never becomes a binary fraction, and ``no`` never becomes a boolean.
Ambiguous or dangerous YAML is refused with its line: duplicate keys (readers silently keep the last), aliases (which can expand
without limit), tags, a second document.
"""

from collections.abc import Iterator
from typing import TypeAlias

import yaml
from yaml import events

from pricing.errors import PricingError

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain]"

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 16


class PlainYamlError(PricingError):
    """Text that is not plain YAML; the message has the line."""

    code = "invalid_yaml"


def read_plain_yaml(text: str | bytes) -> Plain:
    """Return the only document of a YAML text as dicts, lists and strings. Raises PlainYamlError."""
    stream = _checked_events(_checked_bytes(text))
    document: Plain = ""
    for event in stream:
        if isinstance(event, events.DocumentStartEvent):
            document = _node(next(stream), stream)
            break
    else:
        raise PlainYamlError("the file is empty")
    if any(isinstance(event, events.DocumentStartEvent) for event in stream):
        raise PlainYamlError("a second document begins (---); a file must have one document")
    return document


def _checked_bytes(text: str | bytes) -> bytes:
    try:
        content = text.encode() if isinstance(text, str) else text
        if len(content) > MAX_BYTES:
            raise PlainYamlError(f"{len(content)} bytes exceed the limit of {MAX_BYTES}")
        content.decode()
    except UnicodeError:
        raise PlainYamlError("not UTF-8 text") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.lstrip().startswith(b"<"):
        raise PlainYamlError("looks like HTML, not YAML; was a web page saved instead of the file?")
    return content


def _checked_events(content: bytes) -> Iterator[yaml.Event]:
    depth = 0
    try:
        for event in yaml.parse(content, Loader=yaml.CBaseLoader):
            if isinstance(event, events.AliasEvent):
                raise PlainYamlError(f"{_line(event)}: aliases (*name) are not allowed; write the value out")
            if isinstance(event, events.ScalarEvent | events.CollectionStartEvent) and event.tag is not None:
                raise PlainYamlError(f"{_line(event)}: tags ({event.tag}) are not allowed")
            if isinstance(event, events.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise PlainYamlError(f"{_line(event)}: nested more than {MAX_DEPTH} levels deep")
            elif isinstance(event, events.CollectionEndEvent):
                depth -= 1
            yield event
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise PlainYamlError(f"{where}not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise PlainYamlError(f"not YAML: {' '.join(str(error).split())}") from None


def _node(event: yaml.Event, stream: Iterator[yaml.Event]) -> Plain:
    """Build the value that begins with ``event``. The recursion is at most MAX_DEPTH deep."""
    if isinstance(event, events.SequenceStartEvent):
        items: list[Plain] = []
        while not isinstance(item := next(stream), events.SequenceEndEvent):
            items.append(_node(item, stream))
        return items
    if isinstance(event, events.MappingStartEvent):
        mapping: dict[str, Plain] = {}
        while not isinstance(item := next(stream), events.MappingEndEvent):
            if not isinstance(item, events.ScalarEvent):
                raise PlainYamlError(f"{_line(item)}: a key must be plain text")
            if item.value in mapping:
                raise PlainYamlError(f"{_line(item)}: the key {item.value!r} occurs twice")
            mapping[item.value] = _node(next(stream), stream)
        return mapping
    return str(event.value) if isinstance(event, events.ScalarEvent) else ""


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else "unknown line"
