"""Composition of the sidecar: ``python -m metering.sidecar START``, where START is a SidecarStart as JSON.

``metering sidecar`` starts it in place of itself, so that nothing that only commands need stays in memory.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import secrets
import sys
from pathlib import Path

import msgspec

from metering.domain.errors import DomainError
from metering.operations.service.logs import LogSettings, configure_logging
from metering.operations.service.sidecar_settings import SidecarSettings, SidecarStart
from metering.sidecar.budget_gate import BudgetGate
from metering.sidecar.budget_link import BudgetLink
from metering.sidecar.callers import Callers
from metering.sidecar.journal import JournalWriter, SyncPolicy
from metering.sidecar.metered_events import EventMaker, host_of
from metering.sidecar.passing import Passing
from metering.sidecar.proxy import Gate, Meter, OpenGate, ProxyLimits
from metering.sidecar.proxy_metrics import ProxyMetrics
from metering.sidecar.server import SidecarServer
from metering.sidecar.shipper_process import ShipperProcess
from metering.sidecar.upstream import Upstream, verified_tls
from metering.sidecar.upstream_address import UpstreamAddress, upstream_address

try:
    from uvloop import run
except ImportError:  # not made for Windows
    run = asyncio.run  # type: ignore[assignment]

ROUTER = "router.huggingface.co"
# A reservation outlives its request by this much, should it never be settled.
_MARGIN_SECONDS = 60
_OTHER_FILES = 100

_log = logging.getLogger(__name__)


def main() -> int:
    """Run the sidecar until it is stopped; return the exit code."""
    text = sys.argv[1]
    start = msgspec.json.decode(text, type=SidecarStart)
    configure_logging(LogSettings(start.log_level, start.log_as_json), logging.INFO)
    try:
        address = upstream_address(start.upstream)
        journal = JournalWriter(Path(start.settings.journal), start.settings.journal_bytes)
    except DomainError as error:
        sys.stderr.write(f"error[{error.code}]: {error}\n")
        return 2
    _allow_connections(2 * start.settings.max_clients)
    gc.collect()
    gc.freeze()
    try:
        run(_serve(start, text, address, journal))
    except OSError as error:
        sys.stderr.write(f"error[address_unusable]: {start.host}:{start.port}: {error.strerror or error}\n")
        return 1
    return 0


async def _serve(start: SidecarStart, text: str, address: UpstreamAddress, journal: JournalWriter) -> None:
    settings = start.settings
    limits = _limits(settings)
    upstream = Upstream(address, verified_tls() if address.is_tls else None, limits.connect_seconds)
    is_router = settings.is_router or address.host == ROUTER
    callers = Callers(_salt(Path(settings.journal)), start.account, settings.key_accounts, settings.session_per)
    host = host_of(address.host, is_router=is_router)
    policy = SyncPolicy(settings.sync)
    meter = Meter(EventMaker(start.source, host), callers, journal, policy, ProxyMetrics())
    gate, shipper = _budgets(start, text, host, meter)
    passing = Passing(upstream, meter, gate, limits, refuses_when_full=settings.when_full == "refuse")
    server = SidecarServer(passing, Path(settings.journal), policy, settings.sync_ms, shipper)
    await server.serve(start.host, start.port, ends_with_input=start.ends_with_input)


def _budgets(start: SidecarStart, text: str, host: str, meter: Meter) -> tuple[Gate, ShipperProcess]:
    """Return the gate, and the process that publishes budgets to it. A service publishes none, so none of them blocks."""
    if start.service:
        return OpenGate(), ShipperProcess(text, to_service=True)
    settings = start.settings
    gate = BudgetGate(
        host,
        lambda: meter.journal.position,
        settings.answer_seconds + settings.answer_idle_seconds + _MARGIN_SECONDS,
        refuses_unknown=settings.when_unknown == "closed",
    )
    meter.metrics.watch_reserved(lambda: gate.ledger.reserved_nano)
    return gate, ShipperProcess(text, to_service=False, connected=BudgetLink(gate).adopt)


def _allow_connections(number: int) -> None:
    """Raise the limit of open files, which is often lower than the number of connections that are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + _OTHER_FILES
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            _log.warning("at most %d files can be open; %d would be needed for %d clients", allowed, wanted, number // 2)


def _limits(settings: SidecarSettings) -> ProxyLimits:
    return ProxyLimits(
        max_buffered_body=settings.max_buffered_body,
        max_clients=settings.max_clients,
        connect_seconds=settings.connect_seconds,
        answer_seconds=settings.answer_seconds,
        answer_idle_seconds=settings.answer_idle_seconds,
        drain_seconds=settings.drain_seconds,
        shutdown_seconds=settings.shutdown_seconds,
    )


def _salt(folder: Path) -> bytes:
    """Return the salt of the hashes of keys, which is made once for each journal."""
    file = folder / "salt"
    with contextlib.suppress(FileNotFoundError):
        salt = file.read_bytes()
        if len(salt) == 32:
            return salt
    salt = secrets.token_bytes(32)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, salt)
    finally:
        os.close(descriptor)
    return salt


if __name__ == "__main__":
    sys.exit(main())
