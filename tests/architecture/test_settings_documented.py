"""Every setting is documented, and nothing is documented that does not exist."""

import re

from metering.operations.service.settings import SETTINGS
from support.places import ROOT


def test_every_setting_is_in_the_reference_with_its_default_and_meaning():
    reference = (ROOT / "docs" / "settings.md").read_text()
    rows = set(re.findall(r"^\| `(METERING_\w+)` \| `?([^|`]*)`? \| (.*) \|$", reference, re.MULTILINE))
    assert rows == {(setting.name, setting.default, setting.meaning) for setting in SETTINGS}


def test_no_other_variable_of_ours_is_named_anywhere():
    known = {setting.name for setting in SETTINGS}
    named = {
        found
        for folder in ("metering", "migrations", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".mako")
        for found in re.findall(r"\bMETERING_[A-Z_]+[A-Z]\b", path.read_text())
    }
    assert named <= known
