"""Folders that tests read: the checkout, and real data next to it that a user's machine does not have."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
DATA = ROOT.parent / "shared" / "data"


def environment_of_programs() -> dict[str, str]:
    """Return an environment in which a test's own program imports this checkout and what tests share."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS)])}
