"""A program for crash tests: ingests a log in small commits and evaluates budgets after each of them.

``python evaluate_until_killed.py URL LOG NOW``
"""

import sys

from metering.formats.options import DecodeOptions
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.usage import commit_group, read_log
from metering.operations.usage.ingest import Ingester, IngestSettings
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.storage.engine.database import open_database
from pricing.bundled import bundled_plans

BLOCK_LINES = 40
COMMIT_EVENTS = 100  # two or three blocks


def main() -> None:
    """Ingest the log. Prints a line after each commit, before its evaluation."""
    url, log, now = sys.argv[1], sys.argv[2], int(sys.argv[3])
    read_log.BLOCK_LINES = BLOCK_LINES
    commit_group.COMMIT_EVENTS = commit_group.SERVER_COMMIT_EVENTS = COMMIT_EVENTS
    engine = open_database(url)
    ingester = Ingester(engine, IngestSettings(), lambda: now)
    evaluator = BudgetEvaluator(engine, bundled_plans(), lambda: now)
    request = LogRequest(log, DecodeOptions(source="crash.log", now=now))

    def report(progress) -> None:
        sys.stdout.write(f"{progress.result.received}\n")
        sys.stdout.flush()
        evaluator.evaluate()

    ingest_log(engine, ingester, request, declared_tags=frozenset(), on_progress=report)
    evaluator.finish()


if __name__ == "__main__":
    main()
