"""The routes and problems of the HTTP API as Markdown, from the OpenAPI document and the table of problems.

python -m metering.api.reference > docs/api-routes.md
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from sqlalchemy import create_engine

from metering.api.app import create_api
from metering.operations.service.open_service import Service
from metering.operations.service.settings import read_settings
from metering.operations.usage.ingest import Ingester
from metering.web.problems import PROBLEMS
from pricing.bundled import bundled_plans

_INTRODUCTION = """\
# Routes and problems

Written by `python -m metering.api.reference > docs/api-routes.md`; a test checks that it is current. `/openapi.json` describes
every field and parameter; [HTTP API](api.md) explains how the parts behave.

## Routes
"""
_PROBLEMS = """
## Problems

Errors are `application/problem+json` (RFC 9457) with a stable `code`.

| code | status | meaning |
| --- | --- | --- |"""


def reference() -> str:
    """Return the whole page."""
    return "\n".join([_INTRODUCTION, *_routes(_document()), _PROBLEMS, *_problems(), ""])


def _document() -> dict[str, Any]:
    """Return the OpenAPI document. Its routes are described without a database: the engine connects to nothing."""
    settings = read_settings({"METERING_DATABASE_URL": "sqlite:///unused.db"})
    engine = create_engine("sqlite://")
    service = Service(engine, Ingester(engine, settings.ingest, _no_time), bundled_plans(), settings, _no_time)
    app = create_api(service)
    with closing(app.state.intake):
        return app.openapi()


def _routes(document: dict[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scope = operation["security"][0]["apiKey"][0] if "security" in operation else "none"
            by_tag[operation["tags"][0]].append(f"| `{method.upper()} {path}` | {scope} | {operation['summary']} |")
    for tag in document["tags"]:
        if rows := by_tag[tag["name"]]:
            yield "\n".join([f"### {tag['name'].capitalize()}", "", tag["description"], ""])
            yield "\n".join(["| route | scope | summary |", "| --- | --- | --- |", *rows, ""])


def _problems() -> Iterator[str]:
    for code, kind in PROBLEMS.items():
        yield f"| `{code}` | {kind.status} | {kind.title} |"


def _no_time() -> int:
    return 0


if __name__ == "__main__":
    sys.stdout.write(reference())
