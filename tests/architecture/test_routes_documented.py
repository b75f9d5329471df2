"""Every route, scope, problem, media type and parameter is in the reference."""

import json

from metering.api.reference import reference
from metering.api.usage.event_bodies import MEDIA_TYPES
from metering.web.problems import PROBLEMS
from support.places import ROOT

GUIDE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ROUTES = (ROOT / "docs" / "api-routes.md").read_text(encoding="utf-8")
# Equal to the document that is served: a separate test checks it.
DOCUMENT = json.loads((ROOT / "tests" / "api" / "openapi.json").read_text(encoding="utf-8"))


def test_the_reference_is_current():
    assert reference() == ROUTES, "run: python -m metering.api.reference > docs/api-routes.md"


def test_every_route_and_problem_is_in_the_reference():
    routes = [f"`{method.upper()} {path}`" for path, methods in DOCUMENT["paths"].items() for method in methods]
    assert [each for each in (*routes, *(f"`{code}`" for code in PROBLEMS)) if each not in ROUTES] == []


def test_every_media_type_of_events_is_in_the_guide():
    assert [media for media in MEDIA_TYPES if f"`{media}`" not in GUIDE] == []


def test_every_parameter_of_sending_events_is_in_the_guide():
    parameters = DOCUMENT["paths"]["/v1/events"]["post"]["parameters"]
    assert [each["name"] for each in parameters if f"`{each['name']}" not in GUIDE] == []
