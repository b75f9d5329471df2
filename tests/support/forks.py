"""Processes that are forked from one that has imported what they need: importing takes longer than what most of them do.

Each test worker has one such process, from its first use on.
"""

import multiprocessing
import os
import select
import sys
import threading
from collections.abc import Mapping

from metering.command import main

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "metering.cli.alerts.webhook_deliveries",
        "metering.cli.budgets.budgets",
        "metering.cli.charges.rerate_runs",
        "metering.cli.charges.spend",
        "metering.cli.prices.prices_history",
        "metering.cli.reconciliation.reconcile_variances",
        "metering.operations.budgets.evaluate_budgets",
        "metering.operations.prices.sync_prices",
        "metering.operations.statements.close_due",
        "metering.operations.usage.assign_usage",
        "metering.operations.usage.ingest_log",
        "metering.runtime.dispatcher",
        "metering.runtime.leader",
        "rich.console",
        "rich.table",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite.pysqlite",
    ]
)


def run_in_terminal(environment: Mapping[str, str], *arguments: str) -> tuple[bytes, int | None]:
    """Run ``metering`` in a terminal; return what it writes there, and its exit code."""
    leader, follower = os.openpty()
    process = FORKS.Process(target=_run_command, args=(os.ttyname(follower), dict(environment), arguments))
    process.start()
    written = b""
    while ready := select.select([leader, process.sentinel], [], [])[0]:
        if leader not in ready:
            break
        written += os.read(leader, 65_536)
    os.close(follower)
    os.close(leader)
    process.join()
    return written, process.exitcode


def _run_command(terminal: str, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    os.setsid()
    opened = os.open(terminal, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(opened, standard)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(standard, mode) for standard, mode in ((0, "r"), (1, "w"), (2, "w")))
    os.environ.update(environment)
    sys.argv = ["metering", *arguments]
    code = main()
    join_threads()
    sys.exit(code)


def join_threads() -> None:
    """Wait for the threads that are still running, as the interpreter does at its end.

    ``multiprocessing`` closes its queues before it waits for threads: the thread of a pool that is shutting down could then no
    longer tell its worker to exit, and both would wait forever.
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
