"""The command line for tests: run in this process, with a stopped clock and a separate database."""

import json
from pathlib import Path

from click.testing import CliRunner

from metering.cli.invocation import Invocation
from metering.cli.root import cli
from metering.domain.instants import parse_instant

DECEMBER = parse_instant("2026-12-05T12:00:00Z")


class CommandLine:
    """Runs ``metering`` commands against one database file."""

    def __init__(self, folder: Path, now: int = DECEMBER) -> None:
        self.folder = folder
        self.database = folder / "metering.db"
        self.environment = {"METERING_DATABASE_URL": f"sqlite:///{self.database}"}
        self.now = now
        self.code = 0
        self.errors = ""

    def run(self, *arguments: str | Path, stdin: bytes | None = None) -> str:
        """Return what the command printed; its exit code is in ``code``, its stderr in ``errors``."""
        invocation = Invocation(self.environment, lambda: self.now)
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], obj=invocation, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code, self.errors = result.exit_code, result.stderr
        return result.stdout

    def done(self, *arguments: str | Path) -> str:
        """Return what a command printed that must succeed."""
        output = self.run(*arguments)
        assert self.code == 0, f"{arguments}: {self.code}\n{output}\n{self.errors}"
        return output

    def json(self, *arguments: str | Path):
        """Return a command's answer with ``--json``."""
        return json.loads(self.done(*arguments, "--json"))

    def write_log(self, records, name: str = "requests.ndjson") -> Path:
        """Write records as NDJSON; return the file."""
        path = self.folder / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path
