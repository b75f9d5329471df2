"""Composition of the command line: the environment and the clock are read and created here, once, and passed in."""

import os
import sys
import time
from pathlib import Path

from dotenv import dotenv_values

from metering.cli.invocation import Invocation
from metering.cli.root import cli


def main() -> int:
    """Run the command of the arguments; return its exit code."""
    if sys.stdout is None:  # it was started with a closed stdout
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the whole process
    exit_code: int = cli.main(obj=Invocation(read_environment(), now_micros), prog_name="metering", standalone_mode=False)
    return exit_code


def read_environment() -> dict[str, str]:
    """Return the environment, which overrides ``.env`` in the working directory."""
    from_file = dotenv_values(Path.cwd() / ".env")
    return {name: value for name, value in from_file.items() if value is not None} | dict(os.environ)


def now_micros() -> int:
    """Return the time in microseconds since 1970, UTC."""
    return time.time_ns() // 1_000
