"""Decoding in one call, for tests of log formats."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from metering.domain.instants import parse_instant
from metering.domain.usage.events import DecodedBlock
from metering.formats.blocks import BlockDecoder
from metering.formats.options import DecodeOptions

NOW = parse_instant("2026-11-20T12:00:00Z")

Decode = Callable[..., DecodedBlock]


@pytest.fixture
def decode() -> Decode:
    """Decode records of one format: dicts are written as JSON lines, bytes are used as they are."""

    def run(log_format: str, *records: dict[str, Any] | bytes, **options: Any) -> DecodedBlock:
        lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
        data = b"".join(line + b"\n" for line in lines)
        decoder = BlockDecoder(log_format, DecodeOptions(**{"source": "test.log", "now": NOW, **options}))
        return decoder.decode_whole(data)

    return run
