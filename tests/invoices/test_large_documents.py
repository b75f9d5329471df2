"""An invoice of any size is read in the memory of a row."""

import io
import tracemalloc

import pytest

from metering.domain.reconciliation.invoices import InvoiceError
from metering.invoices import reading
from metering.invoices.detect import READERS
from metering.invoices.reading import ReadOptions

ROWS = 30_000
HEAD = b"request_id,amount_nano_usd\n"


class Endless(io.RawIOBase):
    """A file that is generated while it is read."""

    def __init__(self, head, row, rows):
        self._left, self._row, self._rows = head, row, rows

    def readable(self):
        return True

    def readinto(self, buffer):
        while len(self._left) < len(buffer) and self._rows:
            self._left += b"".join(self._row % number for number in range(self._rows, max(0, self._rows - 1000), -1))
            self._rows = max(0, self._rows - 1000)
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [
        ("csv", HEAD, b"inference-%012d,1234567\n"),
        ("json", b"", b'{"request_id": "inference-%012d", "amount_nano_usd": 1234567}\n'),
        ("hf-billing", b"", b'{"requests": [{"requestId": "inference-%012d", "costNanoUsd": 1234567}]}\n'),
    ],
)
def test_a_large_invoice_is_streamed(name, head, row):
    source = io.BufferedReader(Endless(head, row, ROWS))
    tracemalloc.start()
    try:
        lines = sum(1 for _ in READERS[name](source, ReadOptions()).lines)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lines == ROWS
    assert peak < 2_000_000


EVENT = b'data: {"usage": {"inferenceProviders": {"usedNanoUsd": %d, "providerDetails": []}}}\n'


def test_a_usage_stream_that_is_too_large_is_refused_instead_of_truncated(monkeypatch):
    stream = EVENT % 1 + EVENT % 2
    assert READERS["hf-usage"](io.BytesIO(stream), ReadOptions()).head.total_nano == 2
    monkeypatch.setattr(reading, "MAX_JSON_BYTES", len(stream) - 10)
    with pytest.raises(InvoiceError) as refused:
        READERS["hf-usage"](io.BytesIO(stream), ReadOptions())
    assert refused.value.code == "invoice_too_large"
