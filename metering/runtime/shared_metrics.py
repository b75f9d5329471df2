"""Where the workers of one server keep what they count, so that whichever is asked can tell all of it.

The library that counts reads the name of the folder from the environment when it is first imported. So it is set before the
workers start, and they inherit it.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_metrics(workers: int) -> Iterator[None]:
    """Give several workers a folder, unless the environment names one; it is taken away at the end."""
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
    """Return the folder that this process shares with others, None for one that is alone."""
    named = environment.get(VARIABLE)
    return Path(named) if named else None
