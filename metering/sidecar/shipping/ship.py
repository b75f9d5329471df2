"""Ship the journal: read events in order, store them, delete what is stored.

An event may be stored again after a restart, which counts it once: it has an identity. What cannot be stored waits; a record
that cannot be read, or that can never be stored, is set aside in a file next to the segments and named in the log, so that it
holds nothing up.
"""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from metering.domain.usage.events import UsageEvent
from metering.sidecar.journal import Segment, SegmentReader, position_of, segments, without_writer
from metering.sidecar.shipping.stored_position import StoredPosition

BATCH_EVENTS = 2_000
_IDLE_SECONDS = 0.1
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
SET_ASIDE = "set-aside.ndjson"
DAMAGED = ".damaged"

_decode = msgspec.msgpack.Decoder(UsageEvent).decode
_log = logging.getLogger(__name__)


class StoreError(Exception):
    """Nothing was stored now; it may be possible later. The message says why."""


class UnstorableError(Exception):
    """The events can never be stored as they are. The message says why."""


class Store(Protocol):
    """Where events go."""

    def store(self, events: Sequence[UsageEvent]) -> None:
        """Store events, each once. Raises StoreError, UnstorableError."""

    def idle(self) -> None:
        """Nothing is waiting."""


class Shipper:
    """Ships one journal. ``is_to_finish`` returns whether to end once everything is stored.

    ``stored`` is kept up to date, for those who need to know what is stored.
    """

    def __init__(
        self, folder: Path, store: Store, is_to_finish: Callable[[], bool], stored: StoredPosition | None = None
    ) -> None:
        self._folder = folder
        self._store = store
        self._stored = stored or StoredPosition()
        self._is_to_finish = is_to_finish
        self._open: dict[int, SegmentReader] = {}
        self._pause = 0.0

    def run(self) -> None:
        """Ship until it is to finish and nothing is left, or nothing can be stored."""
        try:
            self._run()
        finally:
            for reader in self._open.values():
                reader.close()

    def _run(self) -> None:
        while True:
            finishing = self._is_to_finish()  # asked before looking: what is written afterward is not missed
            announced = self._stored.announced
            try:
                shipped = self._ship_last() if finishing else self._ship_all(segments(self._folder), is_written=True)
            except StoreError as error:
                self._wait_longer(error)
                if finishing:
                    return
                continue
            self._pause = 0.0
            if finishing:
                return
            self._stored.advance(announced)
            if not shipped:
                self._store.idle()
                time.sleep(_IDLE_SECONDS)

    def _ship_last(self) -> int:
        """Ship what is left after the sidecar has ended. Another one may write to the journal by then."""
        shipped = self._ship_all(
            segments(self._folder), is_written=True
        )  # may take long, while another one must be able to start
        with without_writer(self._folder) as is_free:
            return shipped + self._ship_all(segments(self._folder), is_written=not is_free)

    def _ship_all(self, found: Sequence[Segment], *, is_written: bool) -> int:
        """Ship segments. The newest one is kept if records may be added to it (``is_written``)."""
        newest = found[-1].number if found and is_written else 0
        return sum(self._ship_segment(segment, is_newest=segment.number == newest) for segment in found)

    def _ship_segment(self, segment: Segment, *, is_newest: bool) -> int:
        reader = self._open.get(segment.number)
        if reader is None:
            try:
                reader = self._open[segment.number] = SegmentReader(segment.path)
            except FileNotFoundError:  # the process that another sidecar started has stored and deleted it
                return 0
        shipped = 0
        while records := reader.records(BATCH_EVENTS):
            try:
                with self._stored.advancing(position_of(segment.number, reader.returned)):
                    self._store_records(records)
            except StoreError:
                self._reopen(segment.number)
                raise
            shipped += len(records)
        if not is_newest:
            self._end(segment, reader)
        return shipped

    def _end(self, segment: Segment, reader: SegmentReader) -> None:
        """Delete a segment of which everything is stored. One with a damaged part is kept under another name."""
        unread = reader.unread_bytes
        self._open.pop(segment.number).close()
        if unread and reader.is_damaged:
            kept = segment.path.with_suffix(DAMAGED)
            segment.path.rename(kept)
            _log.error(
                "%d bytes of the journal cannot be read; what was before them is stored, and %s is kept", unread, kept.name
            )
            return
        if unread:
            _log.warning("the end of %s is incomplete: a record was being written when the sidecar ended", segment.path.name)
        segment.path.unlink(missing_ok=True)

    def _reopen(self, number: int) -> None:
        """Read a segment from its start again: what was stored of it counts once."""
        self._open.pop(number).close()

    def _store_records(self, records: Sequence[bytes]) -> None:
        events = []
        for payload in records:
            try:
                events.append(_decode(payload))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self._set_aside(payload.hex(), str(error))
        self._store_events(events)

    def _store_events(self, events: Sequence[UsageEvent]) -> None:
        if not events:
            return
        try:
            self._store.store(events)
        except UnstorableError as error:
            if len(events) == 1:
                self._set_aside(msgspec.json.encode(events[0]).decode(), str(error))
                return
            middle = len(events) // 2
            self._store_events(events[:middle])
            self._store_events(events[middle:])

    def _set_aside(self, record: str, reason: str) -> None:
        _log.error("an event cannot be stored and was set aside in %s: %s", SET_ASIDE, reason)
        with (self._folder / SET_ASIDE).open("ab") as file:
            file.write(msgspec.json.encode({"reason": reason, "record": record}) + b"\n")

    def _wait_longer(self, error: StoreError) -> None:
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        _log.warning("events cannot be stored now; trying again in %g s: %s", self._pause, error)
        waited = 0.0
        while waited < self._pause and not self._is_to_finish():
            time.sleep(_IDLE_SECONDS)
            waited += _IDLE_SECONDS
