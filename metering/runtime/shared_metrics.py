"""The folder where the workers of one server keep their counts, so that each of them can report the sum of all.

prometheus_client reads the folder's name from the environment when it is first imported. So it is set before the workers start,
and they inherit it.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_metrics(workers: int) -> Iterator[None]:
    """Give several workers a temporary folder, unless the environment names one."""
    if workers == 1 or VARIABLE in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="metering-metrics-") as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]


def shared_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder that this process shares with other workers, None for a single process."""
    folder = environment.get(VARIABLE)
    return Path(folder) if folder else None
