"""A router for tests: real HTTP on loopback, fetched by a real client, with a clock that the test sets."""

import json
import time
from contextlib import ExitStack
from typing import Any

from sqlalchemy import select

from metering.domain.prices.price_syncs import PriceSync
from metering.operations.prices.sync_prices import RouterSource, sync_prices
from metering.operations.prices.sync_settings import SyncSettings
from metering.outbound.fetch import Clock, FetchLimits, open_fetch
from metering.storage.tables import alerts, price_syncs, price_tables
from support.loopback_source import Script, answer, models, source
from support.loopback_source import Source as Loopback
from support.meter import Meter

LIMITS = FetchLimits(connect_seconds=2, read_seconds=2, total_seconds=4, max_bytes=50_000)
SOURCE = "hf_router"
TEN = [(f"model-{number}", "together", 1.0, 2.0) for number in range(10)]
"""Ten models at a dollar per million input tokens and two per million output tokens."""


def document(*changed: tuple[Any, ...], without: tuple[str, ...] = (), **headers: str) -> Script:
    """Return the ten models with some of them changed, added or removed."""
    listed = {entry[:2]: entry for entry in (*TEN, *changed)}
    return models(*(entry for entry in listed.values() if entry[0] not in without), **headers)


class Router:
    """The loopback router of one database. Each ``sync`` is a second after the last."""

    def __init__(self, meter: Meter, stack: ExitStack) -> None:
        self.meter = meter
        self.loopback: Loopback = stack.enter_context(source(document()))
        self.fetch = stack.enter_context(open_fetch(LIMITS, Clock(lambda _: None, time.monotonic)))
        self.settings = SyncSettings(router_url=self.loopback.url)
        self.pause = 0

    @property
    def source(self) -> RouterSource:
        """How to fetch its prices."""
        return RouterSource(self.fetch, self.settings, lambda: self.meter.now)

    def respond(self, *scripts: Script) -> None:
        """Respond with these scripts from now on."""
        self.loopback.respond(*scripts)

    def sync(self, *scripts: Script) -> PriceSync:
        """Sync a second later, with these responses if any are given."""
        if scripts:
            self.respond(*scripts)
        self.meter.now += 1_000_000
        return sync_prices(self.meter.engine, self.source)

    def versions(self) -> Any:
        """Return the recorded versions of its prices, oldest first."""
        wanted = select(price_tables).where(price_tables.c.source == SOURCE, price_tables.c.layer == 2)
        return self.meter.rows(wanted.order_by(price_tables.c.id))

    def alerts(self) -> list[dict[str, Any]]:
        """Return the data of the alerts, oldest first."""
        return [json.loads(row.data) for row in self.meter.rows(select(alerts).order_by(alerts.c.id))]

    def outcomes(self) -> list[str]:
        """Return the outcomes of the syncs, oldest first."""
        return [row.outcome for row in self.meter.rows(select(price_syncs).order_by(price_syncs.c.id))]


FAILURES = {
    "HTML": (answer(b"<html>", content_type="text/html"), "source_not_json", "HTML instead of JSON"),
    "redirect": (answer(status="302 Found", location="https://elsewhere.example/v1"), "source_redirects", "elsewhere.example"),
    "too large": (answer(b" " * 50_001), "source_too_large", "50000"),
    "refused": (answer(status="403 Forbidden"), "source_refuses", "403"),
    "garbage": (answer(b'{"data": ['), "invalid_price", "not JSON"),
    "no models": (answer(b'{"data": []}'), "invalid_price", "data must be a non-empty list of models"),
    "negative price": (document(("bad", "together", -1, 2)), "invalid_price", "bad"),
    "no number": (document(("bad", "together", "one", 2)), "invalid_price", "bad"),
}
"""Responses that fail a sync: the script, the error code, and a part of the message."""
