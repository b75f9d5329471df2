"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know (problems, bodies read by hand)."""

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from metering.web.problems import MEDIA_TYPE, PROBLEM_TYPE, PROBLEMS

_REFERENCE = "#/components/schemas/{model}"

TAGS = [
    {"name": "events", "description": "Ingest usage events and look them up."},
    {"name": "usage", "description": "Correct or withdraw usage that was ingested wrong, and decide about conflicts."},
    {"name": "spend", "description": "Sums of charges by period and group."},
    {"name": "accounts", "description": "Who is billed, and on which plan."},
    {"name": "credits", "description": "Included and purchased credits, and their ledger."},
    {"name": "budgets", "description": "Limits on spend, and their state."},
    {"name": "prices", "description": "Dated, versioned price tables."},
    {"name": "alerts", "description": "Alerts, each raised exactly once."},
    {"name": "webhooks", "description": "Endpoints that alerts are sent to, and their deliveries."},
    {"name": "statements", "description": "An account's month: usage lines, fees, credits, total."},
    {"name": "reconciliation", "description": "Bills compared with metered usage, and their variances."},
    {"name": "quarantine", "description": "Records that were rejected."},
    {"name": "keys", "description": "API keys with their scopes and accounts."},
    {"name": "health", "description": "Liveness, readiness and metrics."},
]


class FieldProblem(BaseModel):
    """An error in one field of a request."""

    field: str = Field(description="Path of the field.", examples=["body.seats"])
    reason: str = Field(description="The error, stable.", examples=["greater_than_equal"])
    message: str = Field(
        description="The error in words, without the value that was sent.",
        examples=["Input should be greater than or equal to 1"],
    )


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable; `detail` is for people."""

    type: str = Field(description="A URI for the kind of problem.", examples=[f"{PROBLEM_TYPE}not_found"])
    title: str = Field(description="The kind of problem in words.", examples=["Not found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(description="What is wrong, and what to do.", examples=["there is no account 'acme'"])
    code: str = Field(description="The kind of problem, stable.", examples=["not_found"])
    instance: str = Field(description="The path of the request.", examples=["/v1/accounts/acme"])
    errors: list[FieldProblem] | None = Field(
        None,
        description="The errors by field, for invalid requests.",
        examples=[[{"field": "body.seats", "reason": "int_type", "message": "Input should be a valid integer"}]],
    )


def problems(*codes: str, key: bool = True) -> dict[int | str, dict[str, Any]]:
    """Return the problem responses of a route by status; with ``key``, including those of every route that needs a key."""
    always = ("unauthenticated", "insufficient_scope") if key else ()
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*always, "unknown_parameter", "invalid_request", *codes, "internal_error", "unavailable")):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {status: _response(status, named) for status, named in sorted(by_status.items())}


def _response(status: int, codes: list[str]) -> dict[str, Any]:
    examples = {
        code: {
            "summary": PROBLEMS[code].title,
            "value": {
                "type": f"{PROBLEM_TYPE}{code}",
                "title": PROBLEMS[code].title,
                "status": status,
                "detail": "what is wrong, and what to do",
                "code": code,
                "instance": "/v1/...",
            },
        }
        for code in codes
    }
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="Problem")}, "examples": examples}},
    }


def reference(model: type[BaseModel] | type[msgspec.Struct]) -> dict[str, str]:
    """Return a reference to a model's schema; the model must also be passed to DescribedApi."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


class DescribedApi(FastAPI):
    """A FastAPI application whose document also includes schemas that only descriptions refer to."""

    described: tuple[type[BaseModel], ...] = ()
    described_structs: tuple[type[msgspec.Struct], ...] = ()

    def openapi(self) -> dict[str, Any]:
        """Return the document, built once."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, tags=TAGS, routes=self.routes
            )
            models: tuple[type[BaseModel], ...] = (Problem, *self.described)
            _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
            _, structs = msgspec.json.schema_components(self.described_structs, ref_template=_REFERENCE.format(model="{name}"))
            schemas = document["components"]["schemas"] | definitions["$defs"] | structs
            document["components"]["schemas"] = dict(sorted(schemas.items()))
            self.openapi_schema = document
        return self.openapi_schema
