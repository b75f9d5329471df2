"""Documents of bills for tests of their readers."""

import io

from metering.invoices.detect import READERS, SAMPLE_BYTES, detect_format
from metering.invoices.reading import ReadOptions

HEAD = "Day,Model,Cost\n"
COLUMNS = {"date": "Day", "model": "Model", "amount": "Cost"}


def read_document(content, **options):
    """Read a document in its detected format; return its head and its lines."""
    raw = content if isinstance(content, bytes) else content.encode()
    name = detect_format(raw[:SAMPLE_BYTES], mapped=bool(options.get("columns")))
    reading = READERS[name](io.BytesIO(raw), ReadOptions(**options))
    lines = list(reading.lines)
    return reading.head, lines
