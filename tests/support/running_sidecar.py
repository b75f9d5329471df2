"""``metering sidecar`` as a separate process, and the events that it stored."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal, Self

import httpx
import msgspec

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.usage.logged_events import EventQuery, LoggedEvent
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.service.settings import read_settings
from metering.operations.service.sidecar_settings import SidecarStart
from metering.operations.usage.list_events import list_events
from metering.sidecar.journal import segments
from metering.storage.engine.database import open_database
from support.meter import ALL_TIME
from support.places import ROOT
from support.serving_process import Samples, samples_of, until
from support.started_process import PATIENCE, StartedProcess

_LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")


class RunningSidecar(StartedProcess):
    """A sidecar on a free port, in a separate process group. ``url`` is the database; empty: there is none.

    ``environment`` has settings without their prefix ``METERING_SIDECAR_`` in lowercase, and others as they are. Without
    options, what the command runs in place of itself is started at once with the account acme, which takes a third of the time.
    """

    def __init__(self, folder: Path, upstream: str, url: str, *options: str, **environment: str) -> None:
        self.url = url
        self.folder = folder
        self.journal = folder / "journal"
        self.log = folder / f"sidecar-{len(list(folder.glob('sidecar-*.log')))}.log"
        self.address = ""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("METERING_", "PROMETHEUS_"))}
        settings = {"METERING_DATABASE_URL": url, "METERING_SIDECAR_JOURNAL": str(self.journal)}
        for name, value in environment.items():
            settings[name if name.isupper() else f"METERING_SIDECAR_{name.upper()}"] = value
        program = ["metering", "sidecar", "--port", "0", "--upstream", upstream, *options]
        if not options:
            start = SidecarStart("127.0.0.1", 0, upstream, "acme", "", "sidecar", read_settings(settings).sidecar)
            program = ["metering.sidecar", msgspec.json.encode(start).decode()]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *program],
                cwd=folder,
                env={**ours, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self.wait_until_it_listens()

    def __exit__(self, *_: object) -> None:
        self.clear_away()

    @property
    def text(self) -> str:
        """What it logged so far."""
        return self.log.read_text()

    def wait_until_it_listens(self) -> Self:
        found = until(self._listening, "the sidecar did not start")
        self.address = f"http://127.0.0.1:{found}"
        return self

    def _listening(self) -> str:
        found = _LISTENING.search(self.text)
        assert found or self.process.poll() is None, self.text
        return found.group(1) if found else ""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def client(self, **options: object) -> httpx.Client:
        """Return a client of the sidecar."""
        return httpx.Client(base_url=self.address, timeout=PATIENCE, trust_env=False, **options)  # type: ignore[arg-type]

    def shipper(self) -> int:
        """Return the process that stores events; 0 if there is none."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next((pid for pid in map(int, children) if b"sidecar.shipping" in Path(f"/proc/{pid}/cmdline").read_bytes()), 0)

    def memory_bytes(self) -> int:
        """Return the resident memory of the process that passes requests through."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024

    def metrics(self) -> Samples:
        """Return what ``/-/metrics`` says now."""
        return samples_of(httpx.get(f"{self.address}/-/metrics", trust_env=False).text)

    def events(self, count: int, project: str | None = None, account: str = "acme") -> list[LoggedEvent]:
        """Wait until the database has this many events of an account (empty: unassigned ones); return them by time."""

        def enough() -> list[LoggedEvent] | Literal[False]:
            found = stored_events(self.url, account, project)
            return found if len(found) >= count else False

        return until(enough, f"not {count} events; {self.text}")

    def event(self, project: str) -> LoggedEvent:
        """Wait for the one event of a project."""
        (event,) = self.events(1, project)
        return event

    def settled_events(self, account: str = "acme") -> list[LoggedEvent]:
        """Stop it, which stores what is in the journal; return all events."""
        assert self.stop() == 0, self.text
        return stored_events(self.url, account)

    def journal_bytes(self) -> bytes:
        """Return what is in the journal's folder, without the salt and the lock."""
        return b"".join(each.path.read_bytes() for each in segments(self.journal))


def stored_events(url: str, account: str = "acme", project: str | None = None) -> list[LoggedEvent]:
    """Return the events of an account (empty: those that are unassigned), of one project if stated, by time."""
    engine = open_database(url)
    try:
        names = {name: number for number, name in account_names(engine).items()}
        if account and account not in names:
            return []
        query = EventQuery(names[account] if account else UNASSIGNED_ID, *ALL_TIME)
        return [each for each in list_events(engine, query, limit=1_000_000) if project in (None, each.project)]
    finally:
        engine.dispose()
