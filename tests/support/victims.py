"""Programs that tests kill in the middle of their work. They print their progress."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.places import ROOT, environment_of_programs
from support.presence import present


def start_victim(program: Path, *arguments: object, text: bool = False) -> subprocess.Popen[Any]:
    """Start a program with the code of this checkout, in its own process group, so that its children are killed with it."""
    return subprocess.Popen(
        [sys.executable, str(program), *map(str, arguments)],
        cwd=ROOT,
        env=environment_of_programs(),
        stdout=subprocess.PIPE,
        text=text,
        start_new_session=True,
    )


def kill_unless_done(process: subprocess.Popen[Any], delay: float) -> None:
    """Kill the process after a delay, unless it has ended by then."""
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def killed_after(process: subprocess.Popen[Any], acknowledgements: int, delay: float) -> int:
    """Kill the process after this many acknowledgements and a delay; return the highest count that it acknowledged."""
    acknowledged = 0
    for _ in range(acknowledgements):
        line = present(process.stdout).readline()
        if not line:
            break
        acknowledged = int(line)
    kill_unless_done(process, delay)
    rest = present(process.stdout).read().split()
    present(process.stdout).close()
    process.wait()
    return max([acknowledged, *map(int, rest)])
