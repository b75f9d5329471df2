"""Logs in CSV: a header, and a map from event fields to columns.

Without a map, columns with native field names are used. The header shows whether the delimiter is a comma, semicolon, tab or
bar.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from metering.domain.errors import DomainError, LogFormatError, RecordError
from metering.domain.usage.events import QuantityGrade, UsageEvent, kept_fields
from metering.formats.event_times import latency_micros, start_of
from metering.formats.gateway_caches import is_flagged
from metering.formats.litellm_names import PROVIDER_FIELD, SPEND_LOG_COLUMNS, without_provider
from metering.formats.reading import Reading
from metering.formats.record_fields import (
    count_field,
    grade_of,
    limited_tags,
    require_reasoning_inside_output,
    route_field,
    served_by,
    status_field,
    tag_text,
    text_field,
)
from metering.formats.stated_failures import ANSWERED_WORDS, FAILED_WORDS
from metering.formats.usage_readings import split_prompt
from pricing.quantities import ALL_KINDS, Quantities

DELIMITERS = (",", ";", "\t", "|")
TEXT_FIELDS = (
    "id", "source", "account", "provider", "model", "operation", "project", "key", "response_id", "inference_id",
    "response_model", "estimate_reason",
)  # fmt: skip
CACHE_FIELD = "cache_hit"
INCLUSIVE_FIELDS = ("prompt_tokens", "cached_tokens")
COUNT_FIELDS = (*ALL_KINDS, *INCLUSIVE_FIELDS)
_COUNT_FIELDS = frozenset(COUNT_FIELDS)
MAPPABLE_FIELDS = (*TEXT_FIELDS, "time", "end_time", "latency_ms", "route", "status", CACHE_FIELD, *COUNT_FIELDS)

# A quoted cell may contain line ends; a stray quote must not swallow the rest of the log.
MAX_LINES_PER_ROW = 256

_SHOWN_COLUMNS = 30


class CsvReader:
    """Reads the rows of one CSV. The header is the first row that ``rows`` finds."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._options = reading.options
        self._delimiter = ","
        self._header: list[str] | None = None
        self._positions: dict[str, int] = {}
        self._rest: list[tuple[str, int]] = []
        self._litellm_provider: int | None = None

    def rows(self, data: bytes, line: int, offset: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield (raw row, its first line, its offset) of a block. Raises LogFormatError if the header lacks a column."""
        for raw, row_line, row_offset in self._raw_rows(data, line, offset):
            if self._header is None:
                self._read_header(raw)
            else:
                yield raw, row_line, row_offset

    def read(self, raw: bytes) -> UsageEvent:
        """Return the event of one row. Raises RecordError."""
        cells = self._checked_cells(raw)
        record = {field: cells[at].strip() or None for field, at in self._positions.items()}
        options = self._options
        model = text_field(record, "model") or options.model
        if not model:
            raise RecordError(
                "missing_model", "the row has no model; map a column to it, or set one for the whole input", "model"
            )
        stated = text_field(record, "provider")
        if self._litellm_provider is not None:
            model, stated = self._litellm_names(model, stated, cells[self._litellm_provider])
        name, provider = served_by(model, stated, options.provider)
        event_id = text_field(record, "id")
        if not event_id and options.require_id:
            raise RecordError("missing_id", "an event needs an id, so that sending it again does not count it twice", "id")
        is_cached = CACHE_FIELD in record and is_flagged(record[CACHE_FIELD])
        quantities, overlap = (None, "") if is_cached else _quantities(record)
        estimate_reason = text_field(record, "estimate_reason") or overlap
        moment, derived, latency_ms = self._times(record)
        status, failure = _status(record.get("status"))
        return UsageEvent(
            id=event_id,
            source=text_field(record, "source") or options.source,
            model=name,
            provider=provider,
            operation=text_field(record, "operation") or options.operation or "chat",
            account=text_field(record, "account") or options.account,
            route=route_field(record.get("route")) or self._reading.route,
            status=status,
            quantities=Quantities() if quantities is None else quantities,
            quantity_grade=QuantityGrade.MEASURED if is_cached else grade_of(quantities, estimate_reason),
            estimate_reason=estimate_reason,
            time_derived=derived,
            response_id=text_field(record, "response_id"),
            inference_id=text_field(record, "inference_id"),
            project=text_field(record, "project") or options.project,
            key=text_field(record, "key") or options.key,
            tags=self._tags(cells),
            latency_ms=latency_ms,
            response_model=text_field(record, "response_model"),
            failure=failure,
            gateway_cached=is_cached,
            time=self._reading.times.settle(moment),
        )

    @staticmethod
    def _litellm_names(model: str, stated: str, litellm_provider: str) -> tuple[str, str]:
        """Return (model, provider). A log of LiteLLM names the provider in a separate column, and in front of the model."""
        model, provider = without_provider(model, litellm_provider)
        return model, provider if stated in ("", litellm_provider.strip()) else stated

    def kept(self, raw: bytes) -> dict[str, str]:
        """Return the mapped identifying columns of a rejected row, which quarantine may keep."""
        cells = self._cells(raw) or []
        if len(cells) != len(self._header or []):
            return {}
        return kept_fields({field: cells[at].strip() for field, at in self._positions.items()})

    def _raw_rows(self, data: bytes, line: int, offset: int) -> Iterator[tuple[bytes, int, int]]:
        lines = data.split(b"\n")
        at = 0
        while at < len(lines):
            taken = self._lines_of_row(lines, at) if lines[at].count(b'"') % 2 else 1
            whole = b"\n".join(lines[at : at + taken])
            raw = whole.removesuffix(b"\r")
            if raw and not raw.isspace():
                yield raw, line + at, offset
            at += taken
            offset += len(whole) + 1

    def _lines_of_row(self, lines: list[bytes], at: int) -> int:
        """Return the number of lines of a row with an open quote; 1 if no closing quote gives a row of the right width."""
        quotes = 0
        for taken, line in enumerate(lines[at : at + MAX_LINES_PER_ROW], start=1):
            quotes += line.count(b'"')
            if taken > 1 and quotes % 2 == 0:
                cells = self._cells(b"\n".join(lines[at : at + taken]).removesuffix(b"\r"))
                return taken if self._header is None or (cells is not None and len(cells) == len(self._header)) else 1
        return 1

    def _cells(self, raw: bytes) -> list[str] | None:
        """Split a row into cells; None if that fails. Invalid UTF-8 becomes surrogates."""
        text = raw.decode("utf-8", "surrogateescape")
        try:
            return next(csv.reader([text], delimiter=self._delimiter), [])
        except csv.Error:
            return None

    def _checked_cells(self, raw: bytes) -> list[str]:
        if b"\0" in raw:
            raise RecordError("nul_byte", "the row contains NUL bytes; the file may be damaged or UTF-16")
        if not raw.isascii():
            try:
                raw.decode()
            except UnicodeDecodeError:
                raise RecordError("invalid_utf8", "the row is not valid UTF-8; convert the log to UTF-8") from None
        cells = self._cells(raw)
        expected = len(self._header or [])
        if cells is None or len(cells) != expected:
            actual = "unreadable" if cells is None else f"{len(cells)} cells wide"
            raise RecordError(
                "wrong_number_of_cells", f"the row is {actual}, the header has {expected} cells; check quotes and delimiter"
            )
        return cells

    def _read_header(self, raw: bytes) -> None:
        columns = self._options.columns
        self._delimiter, header = read_header(raw, columns)
        self._header = header
        self._positions = column_positions(header, columns)
        if header.count(CACHE_FIELD) == 1:  # also next to a map that passes it over: what it marks was not bought
            self._positions.setdefault(CACHE_FIELD, header.index(CACHE_FIELD))
        if PROVIDER_FIELD in header:
            self._litellm_provider = header.index(PROVIDER_FIELD)
        read = {*self._positions.values(), *([] if self._litellm_provider is None else [self._litellm_provider])}
        self._rest = [(name, at) for at, name in enumerate(header) if at not in read]

    def _times(self, record: Mapping[str, Any]) -> tuple[int, bool, int | None]:
        times = self._reading.times
        stated = {name: times.read(record[name], name) for name in ("time", "end_time") if record.get(name) is not None}
        start, end = stated.get("time"), stated.get("end_time")
        latency = latency_micros(record.get("latency_ms"))
        if latency is None and start is not None and end is not None and end >= start:
            latency = end - start
        moment, derived = start_of(start, end, latency)
        if moment is None:
            raise RecordError("missing_time", "the row has no time", "time")
        return moment, derived, None if latency is None else latency // 1000

    def _tags(self, cells: list[str]) -> dict[str, str]:
        tags = {}
        for name, at in self._rest:
            if not cells[at]:
                continue
            if name in self._options.tag_fields:
                tags[name] = tag_text(cells[at], name)
            else:
                self._reading.unread.note(name)
        return limited_tags(tags)


def parse_columns(pairs: Iterable[str]) -> dict[str, str]:
    """Return the CSV column of each event field, from pairs ``field=column``.

    Raises DomainError for a pair that is not one, an unknown field, or two columns for one field.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not (equals and field and column):
            raise DomainError(f"write FIELD=COLUMN, not {pair[:60]!r}")
        if field not in MAPPABLE_FIELDS:
            raise DomainError(f"{field[:40]!r} is not an event field; use one of {', '.join(MAPPABLE_FIELDS)}")
        if columns.setdefault(field, column) != column:
            raise DomainError(f"there are two columns for {field}; name one")
    return columns


def read_header(raw: bytes, columns: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return (delimiter, column names), by the delimiter that yields most of the wanted columns.

    Raises LogFormatError for a header that is not a CSV row: a lone carriage return, or a cell over the reader's limit.
    """
    text = raw.decode("utf-8", "replace")
    wanted = set(columns.values()) or set(MAPPABLE_FIELDS)

    def names(delimiter: str) -> list[str]:
        try:
            return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]
        except csv.Error:
            raise LogFormatError("the header is not a CSV row; line ends must be LF or CRLF") from None

    delimiter = max(DELIMITERS, key=lambda each: (len(wanted.intersection(names(each))), len(names(each))))
    return delimiter, names(delimiter)


def column_positions(header: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return the position of the column of each event field.

    Raises LogFormatError for an unknown field, a column that the header lacks or has twice, a missing time, or both prompt and
    input tokens (one includes the cached tokens, the other does not).
    """
    column_of = dict(columns) or _columns_by_name(header)
    shown = ", ".join(name[:40] for name in header[:_SHOWN_COLUMNS]) + (", ..." if len(header) > _SHOWN_COLUMNS else "")
    for field, column in column_of.items():
        if field not in MAPPABLE_FIELDS:
            raise LogFormatError(f"{field[:40]!r} is not an event field; map one of {', '.join(MAPPABLE_FIELDS)}")
        if header.count(column) != 1:
            state = "appears twice" if column in header else "is not"
            message = f"the column {column[:40]!r} for {field} {state} in the header; its columns are: {shown}"
            raise LogFormatError(message, "missing_column")
    if not {"time", "end_time"}.intersection(column_of):
        message = f"no column for the time; map one (time=COLUMN); the header's columns are: {shown}"
        raise LogFormatError(message, "missing_column")
    if {"prompt_tokens", "input_tokens"} <= column_of.keys():
        raise LogFormatError("prompt_tokens include the cached tokens and input_tokens do not; map only one of them")
    return {field: header.index(column) for field, column in column_of.items()}


def _columns_by_name(header: list[str]) -> dict[str, str]:
    """Return the columns with the names of event fields, or with LiteLLM's names for them."""
    named = {name: name for name in header if name in MAPPABLE_FIELDS}
    litellm = {field: column for field, column in SPEND_LOG_COLUMNS.items() if column in header and field not in named}
    return named | litellm


@lru_cache(maxsize=256)
def _status(text: str | None) -> tuple[int | None, str]:
    """Return (HTTP status, failure) of a cell: a number, or a word such as ``success`` or ``failure``."""
    if text is None or text.lower() in ANSWERED_WORDS:
        return None, ""
    if text.lower() in FAILED_WORDS:
        return None, text.lower()
    return status_field(_integer(text)), ""


def _quantities(record: Mapping[str, Any]) -> tuple[Quantities | None, str]:
    """Return (quantities, reason if they are an estimate); (None, "") if the row states no count."""
    stated = {}
    for field, text in record.items():
        if text is not None and field in _COUNT_FIELDS:
            stated[field] = count_field(_integer(text), field)
    if not stated:
        return None, ""
    cached = stated.pop("cached_tokens", None)
    if cached is not None:
        stated["cache_read_tokens"] = cached
    prompt = stated.pop("prompt_tokens", None)
    reason = ""
    if prompt is not None:
        written_1h = stated.get("cache_write_1h_tokens", 0)
        parts, overlap = split_prompt(
            prompt,
            stated.get("cache_read_tokens", 0),
            stated.get("cache_write_tokens", 0) + written_1h,
            stated.get("input_audio_tokens", 0),
            stated.get("input_image_tokens", 0),
        )
        parts["cache_write_tokens"] -= written_1h
        stated.update(parts)
        reason = "cached_tokens_not_broken_down" if overlap else ""
    return require_reasoning_inside_output(Quantities(**stated), "reasoning_tokens"), reason


def _integer(text: str) -> int | str:
    """Return a cell as an integer if it is one. Other text is returned as it is, and fails the later check."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else text
