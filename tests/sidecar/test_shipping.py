"""What is in the journal is stored once and in order; what cannot be stored now waits, and what never can is set aside."""

import json
import logging
import threading
import zlib

import msgspec
import pytest

from metering.domain.usage.events import QuantityGrade, UsageEvent
from metering.operations.service.open_service import open_service
from metering.operations.service.settings import read_settings
from metering.sidecar.journal import JournalWriter, segments, without_writer
from metering.sidecar.shipping import ship as ship_module
from metering.sidecar.shipping.database_store import DatabaseStore
from metering.sidecar.shipping.ship import Shipper, StoreError, UnstorableError
from pricing.quantities import Quantities
from support.builders import NOW
from support.running_sidecar import stored_events

encode = msgspec.msgpack.Encoder().encode


def event(name, **fields):
    return UsageEvent(id=name, source="sidecar", time=NOW, model="m", account="acme", **fields)


class Memory:
    """A store that remembers events; ``fails`` is asked before each call."""

    def __init__(self, fails=lambda events: None):
        self.calls = []
        self.stored = {}
        self.idles = 0
        self.fails = fails

    def store(self, events):
        self.calls.append([each.id for each in events])
        error = self.fails(events)
        if error is not None:
            raise error
        self.stored.update({each.id: each for each in events})

    def idle(self):
        self.idles += 1


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def writer(folder):
    made = JournalWriter(folder, 10_000_000)
    yield made
    made.close()


def write(writer, *events):
    for each in events:
        assert writer.append(encode(each))


def finish(folder, store):
    """Ship everything, as when the sidecar has ended."""
    Shipper(folder, store, lambda: True).run()


@pytest.fixture
def no_pauses(monkeypatch):
    """Pauses as they would be, without waiting."""
    pauses = []

    def wait(self, error):
        self._pause = min(max(2 * self._pause, 0.5), 30.0)
        pauses.append(self._pause)

    monkeypatch.setattr(Shipper, "_wait_longer", wait)
    return pauses


def test_events_are_stored_in_order_and_their_segments_deleted(writer, folder):
    write(writer, *(event(f"e{number}", quantities=Quantities(input_tokens=number + 1)) for number in range(5)))
    writer.close()
    store = Memory()
    finish(folder, store)
    assert store.calls == [["e0", "e1", "e2", "e3", "e4"]]
    assert store.stored["e3"].quantities == Quantities(input_tokens=4)
    assert segments(folder) == []


def test_the_segment_that_is_written_is_kept(writer, folder):
    write(writer, event("a"))
    writer.rotate()
    write(writer, event("b"))
    store = Memory()
    finish(folder, store)
    assert sorted(store.stored) == ["a", "b"]
    assert [each.number for each in segments(folder)] == [2]


def test_a_writer_can_start_while_much_is_left_to_be_stored(writer, folder):
    write(writer, event("a"))
    writer.close()
    could_start = []

    def looks(events):
        with without_writer(folder) as is_free:
            could_start.append(is_free)

    finish(folder, Memory(looks))
    assert could_start == [True]


def test_large_journals_are_stored_in_batches(writer, folder, monkeypatch):
    monkeypatch.setattr(ship_module, "BATCH_EVENTS", 3)
    write(writer, *(event(f"e{number}") for number in range(7)))
    writer.close()
    store = Memory()
    finish(folder, store)
    assert [len(call) for call in store.calls] == [3, 3, 1]


def test_what_cannot_be_stored_now_is_tried_again_and_stored_once(writer, folder, no_pauses, monkeypatch):
    monkeypatch.setattr(ship_module, "BATCH_EVENTS", 2)
    write(writer, *(event(f"e{number}") for number in range(4)))
    finished = threading.Event()
    failures = [None, StoreError("away"), StoreError("away"), None, None]

    def fails(events):
        error = failures.pop(0) if failures else None
        if not failures:
            finished.set()
        return error

    store = Memory(fails)
    Shipper(folder, store, finished.is_set).run()
    # After a failure the segment is read from its start again: identities make the first batch count once.
    assert store.calls[:5] == [["e0", "e1"], ["e2", "e3"], ["e0", "e1"], ["e0", "e1"], ["e2", "e3"]]
    assert sorted(store.stored) == ["e0", "e1", "e2", "e3"]
    assert no_pauses == [0.5, 1.0]


def test_pauses_double_up_to_half_a_minute(writer, folder, no_pauses):
    write(writer, event("a"))
    left = [1] * 9

    def is_finishing():
        left.pop()
        return not left

    Shipper(folder, Memory(lambda events: StoreError("away")), is_finishing).run()
    assert no_pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert len(segments(folder)) == 1


def test_a_shipper_that_is_to_finish_gives_up_at_the_first_failure(writer, folder, no_pauses):
    write(writer, event("a"))
    writer.close()
    store = Memory(lambda events: StoreError("away"))
    finish(folder, store)
    assert (len(store.calls), len(segments(folder))) == (1, 1)
    finish(folder, store := Memory())
    assert sorted(store.stored) == ["a"]


def test_an_event_that_can_never_be_stored_is_found_and_set_aside(writer, folder, caplog):
    write(writer, *(event(f"e{number}") for number in range(8)))
    writer.close()
    store = Memory(lambda events: UnstorableError("bad e5") if "e5" in {each.id for each in events} else None)
    finish(folder, store)
    assert sorted(store.stored) == ["e0", "e1", "e2", "e3", "e4", "e6", "e7"]
    # 8 -> 4 + 4 -> 2 + 2 -> 1 + 1: seven calls.
    assert [len(call) for call in store.calls] == [8, 4, 4, 2, 1, 1, 2]
    (line,) = (folder / "set-aside.ndjson").read_text().splitlines()
    aside = json.loads(line)
    assert aside["reason"] == "bad e5"
    assert json.loads(aside["record"])[0] == "e5"
    assert segments(folder) == []
    assert "an event cannot be stored and was set aside" in caplog.text


def test_a_record_that_is_no_event_is_set_aside(writer, folder):
    write(writer, event("a"))
    assert writer.append(b"\xc1 not msgpack")
    write(writer, event("b"))
    writer.close()
    store = Memory()
    finish(folder, store)
    assert store.calls == [["a", "b"]]
    (line,) = (folder / "set-aside.ndjson").read_text().splitlines()
    assert bytes.fromhex(json.loads(line)["record"]) == b"\xc1 not msgpack"


def test_a_torn_end_is_deleted_with_its_segment_and_said(writer, folder, caplog):
    write(writer, event("a"))
    writer.close()
    (segment,) = segments(folder)
    with segment.path.open("ab") as file:
        file.write(b"\0\0\0\x20" + zlib.crc32(b"x").to_bytes(4, "big") + b"half")
    store = Memory()
    finish(folder, store)
    assert sorted(store.stored) == ["a"]
    assert list(folder.glob("*.journal*")) == []
    assert "is incomplete: a record was being written" in caplog.text


def test_a_damaged_segment_is_kept_under_another_name(writer, folder, caplog):
    write(writer, event("a"), event("b"))
    writer.close()
    (segment,) = segments(folder)
    data = bytearray(segment.path.read_bytes())
    data[-1] ^= 1
    segment.path.write_bytes(data)
    store = Memory()
    with caplog.at_level(logging.ERROR):
        finish(folder, store)
    assert sorted(store.stored) == ["a"]
    assert (folder / "0000000000000001.damaged").read_bytes() == bytes(data)
    assert segments(folder) == []
    assert "cannot be read; what was before them is stored" in caplog.text


def test_budgets_are_evaluated_when_nothing_is_waiting(writer, folder, monkeypatch):
    monkeypatch.setattr(ship_module, "_IDLE_SECONDS", 0)
    write(writer, event("a"))
    states = [False, False, True]
    store = Memory()
    Shipper(folder, store, lambda: states.pop(0)).run()
    assert (store.idles, sorted(store.stored)) == (1, ["a"])


@pytest.fixture
def service(new_database):
    url = new_database()
    service = open_service(read_settings({"METERING_DATABASE_URL": url}), lambda: NOW, create=False)
    yield service
    service.engine.dispose()


def test_a_store_in_the_database_counts_an_event_once_whenever_it_comes(service, writer, folder):
    used = event("a", quantities=Quantities(input_tokens=7), quantity_grade=QuantityGrade.MEASURED, status=200, key="token-1")
    write(writer, used)
    writer.close()
    store = DatabaseStore(service, "sidecar")
    store.store([used, used])
    finish(folder, store)
    (stored,) = stored_events(service.settings.database_url)
    assert (stored.id, stored.source, stored.quantities, stored.key) == ("a", "sidecar", Quantities(input_tokens=7), "token-1")
    store.idle()


@pytest.mark.parametrize("sql", ["DROP TABLE receipts", "PRAGMA query_only = 1"])
def test_a_database_that_can_be_mended_refuses_nothing_for_good(service, sql):
    with service.engine.connect() as connection:
        connection.exec_driver_sql(sql)
        connection.commit()
    with pytest.raises(StoreError):
        DatabaseStore(service, "sidecar").store([event("a")])
