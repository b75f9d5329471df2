"""Tests of exports share worked examples and an independent reading of the FOCUS specification."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
