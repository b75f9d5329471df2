"""Programs that tests kill in the middle of their work. They print their progress.

They are forked (see ``forks``).
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from support.forks import FORKS, join_threads
from support.presence import present


class Victim:
    """A process that runs a program in its own process group, so that its children are killed with it. Used like a Popen."""

    def __init__(self, program: Path, arguments: list[str], *, text: bool) -> None:
        reading, writing = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(target=_run, args=(str(program), arguments, writing))
        self._process.start()
        writing.close()
        self.stdout = os.fdopen(os.dup(reading.fileno()), "r" if text else "rb")
        reading.close()

    @property
    def returncode(self) -> int | None:
        """The exit code; a signal as a negative number, None for a process that runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return self.returncode

    def kill(self) -> None:
        """Kill the process alone."""
        self._process.kill()

    def kill_group(self) -> None:
        """Kill the process and its children."""
        os.killpg(present(self._process.pid), signal.SIGKILL)

    def communicate(self, timeout: float = 300) -> tuple[Any, None]:
        """Return what else it prints until it ends; it is killed after the timeout."""
        patience = threading.Timer(timeout, self.kill)
        patience.start()
        with self.stdout:
            output = self.stdout.read()
        self.wait()
        patience.cancel()
        patience.join()
        return output, None


def _run(program: str, arguments: list[str], output: Connection) -> None:
    os.setsid()
    os.dup2(output.fileno(), present(sys.__stdout__).fileno())
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")
    join_threads()


def start_victim(program: Path, *arguments: object, text: bool = False) -> Victim:
    """Start a program with the code of this checkout."""
    return Victim(program, [str(argument) for argument in arguments], text=text)


def kill_unless_done(process: Victim, delay: float) -> None:
    """Kill the process after a delay, unless it has ended by then."""
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        process.kill_group()


def killed_after(process: Victim, acknowledgements: int, delay: float) -> int:
    """Kill the process after this many acknowledgements and a delay; return the highest count that it acknowledged."""
    acknowledged = 0
    for _ in range(acknowledgements):
        line = process.stdout.readline()
        if not line:
            break
        acknowledged = int(line)
    kill_unless_done(process, delay)
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    return max([acknowledged, *map(int, rest)])
