"""Every setting is documented, and nothing is documented that does not exist."""

import re

from metering.operations.service.settings import SETTINGS
from metering.operations.service.settings_reference import settings_reference
from support.places import ROOT


def test_the_reference_is_current():
    assert (ROOT / "docs" / "settings.md").read_text() == settings_reference()


# Of tests and benchmarks, not of the service.
OTHERS = {"METERING_TEST_POSTGRES_URL", "METERING_BENCH_POSTGRES_URL"}


def test_no_other_variable_of_ours_is_named_anywhere():
    known = {setting.name for setting in SETTINGS}
    named = {
        found
        for folder in ("metering", "migrations", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".mako")
        for found in re.findall(r"\bMETERING_[A-Z_]+[A-Z]\b", path.read_text())
    }
    assert named - OTHERS <= known
