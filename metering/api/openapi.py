"""The OpenAPI document: what FastAPI finds in the routes, and what it can not know (problems, bodies that are read by hand)."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from metering.web.problems import MEDIA_TYPE, PROBLEM_TYPE, PROBLEMS

_REFERENCE = "#/components/schemas/{model}"

TAGS = [
    {"name": "events", "description": "What was used: ingest it, and look it up again."},
    {"name": "spend", "description": "What it cost, by whom and by what."},
    {"name": "accounts", "description": "Who is billed, and on which plan."},
    {"name": "credits", "description": "Credits given, burned and left."},
    {"name": "budgets", "description": "Limits on spend, and how much of them is used."},
    {"name": "prices", "description": "Dated, versioned price tables."},
    {"name": "alerts", "description": "Events worth knowing about, each raised once."},
    {"name": "webhooks", "description": "Endpoints that alerts are sent to, and their deliveries."},
    {"name": "statements", "description": "A month of an account: usage lines, fee, credits, total."},
    {"name": "reconciliation", "description": "Does the bill agree, and if not, exactly why not."},
    {"name": "quarantine", "description": "Records that could not become events."},
    {"name": "keys", "description": "API keys: who may do what, for which account."},
    {"name": "health", "description": "Whether the service lives, and whether it can serve."},
]


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="Where it stands.", examples=["body.seats"])
    reason: str = Field(description="A stable reason.", examples=["greater_than_equal"])
    message: str = Field(
        description="What is wrong, never the value that was sent.", examples=["Input should be greater than or equal to 1"]
    )


class Problem(BaseModel):
    """An error, as RFC 9457 has it. `code` is stable; `detail` is for people."""

    type: str = Field(description="A URI for the kind of problem.", examples=[f"{PROBLEM_TYPE}not_found"])
    title: str = Field(description="The kind of problem in words.", examples=["What was named does not exist"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(description="What was wrong and what to do.", examples=["there is no account 'acme'"])
    code: str = Field(description="The kind of problem, stable.", examples=["not_found"])
    instance: str = Field(description="The path that was asked for.", examples=["/v1/accounts/acme"])
    errors: list[FieldProblem] | None = Field(
        None,
        description="Which fields are wrong, where that can be said.",
        examples=[[{"field": "body.seats", "reason": "int_type", "message": "Input should be a valid integer"}]],
    )


def problems(*codes: str, key: bool = True) -> dict[int | str, dict[str, Any]]:
    """Return the problem responses of a route by status; with ``key``, those that every route with a key has."""
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
                "detail": "what was wrong, and what to do",
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


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Return the reference to a model's schema; the model is passed to DescribedApi too."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


class DescribedApi(FastAPI):
    """A FastAPI whose document also holds the schemas that only descriptions refer to."""

    described: tuple[type[BaseModel], ...] = ()

    def openapi(self) -> dict[str, Any]:
        """Return the document; it is made once."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, tags=TAGS, routes=self.routes
            )
            models: tuple[type[BaseModel], ...] = (Problem, *self.described)
            _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
            schemas = document["components"]["schemas"] | definitions["$defs"]
            document["components"]["schemas"] = dict(sorted(schemas.items()))
            self.openapi_schema = document
        return self.openapi_schema
