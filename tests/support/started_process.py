"""A program that a test started in its own process group: how it is killed, stopped and cleared away."""

import contextlib
import os
import signal
import subprocess

PATIENCE = 60
"""Seconds; only a broken program takes so long."""


class StartedProcess:
    """Ends ``process``, which a subclass starts."""

    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End the process as a power cut would. What it started is not asked."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def clear_away(self) -> None:
        """Leave nothing of it behind, whatever a test did."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
