"""Every route, scope, media type and problem is in the reference, and nothing is there that does not exist."""

import json
import re

from metering.api.usage.event_bodies import MEDIA_TYPES
from metering.web.problems import PROBLEMS
from support.places import ROOT

REFERENCE = (ROOT / "docs" / "api.md").read_text()
# Equal to the document that is served: a test of its own.
DOCUMENT = json.loads((ROOT / "tests" / "api" / "openapi.json").read_text())


def test_every_route_is_in_the_reference_with_the_scope_that_it_needs():
    rows = re.findall(r"^\| `([A-Z]+) (/[^`]*)` \| (\w+) \| .+ \|$", REFERENCE, re.MULTILINE)
    served = [
        (method.upper(), path, operation["security"][0]["apiKey"][0] if "security" in operation else "none")
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]
    assert sorted(rows) == sorted(served)


def test_every_problem_is_in_the_reference_with_its_status():
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| (.+) \|$", REFERENCE, re.MULTILINE)
    assert rows == [(code, str(kind.status), kind.title) for code, kind in PROBLEMS.items()]


def test_every_media_type_that_events_come_in_is_in_the_reference():
    assert [media for media in MEDIA_TYPES if f"`{media}`" not in REFERENCE] == []


def test_every_parameter_of_sending_events_is_in_the_reference():
    (parameters,) = [DOCUMENT["paths"]["/v1/events"]["post"]["parameters"]]
    named = set(re.findall(r"`(\w+)[=`]", REFERENCE))
    assert {each["name"] for each in parameters} <= named
