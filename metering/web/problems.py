"""Every error that leaves over HTTP: ``application/problem+json`` (RFC 9457) with a stable ``code``.

The table below is the only place that knows which status a code has. Nothing of a request's body and nothing of the
service's insides stands in a problem.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.responses import JSONResponse

PROBLEM_TYPE = "urn:hf-metering:problem:"
MEDIA_TYPE = "application/problem+json"

# Details of an internal error are for the log, not for the client.
_INTERNAL = "the request failed; the server's log has the details under this answer's X-Request-Id"
# On every answer: an answer shows what one key may see, and none of them is a web page.
SAFETY_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class ProblemKind(NamedTuple):
    """What a code means: HTTP status, and the title that never changes."""

    status: int
    title: str


PROBLEMS: dict[str, ProblemKind] = {
    "account_required": ProblemKind(400, "The question needs an account"),
    "empty_file": ProblemKind(400, "There is nothing in the input"),
    "invalid_cursor": ProblemKind(400, "The cursor is not one that this question was answered with"),
    "invalid_encoding": ProblemKind(400, "The body can not be decompressed"),
    "malformed_request": ProblemKind(400, "The request can not be read"),
    "missing_column": ProblemKind(400, "The input lacks a column"),
    "not_json": ProblemKind(400, "The body is not JSON"),
    "unknown_invoice_format": ProblemKind(400, "What kind of bill it is can not be told"),
    "unknown_format": ProblemKind(400, "The format can not be told or read"),
    "unknown_parameter": ProblemKind(400, "A query parameter is not known here"),
    "unauthenticated": ProblemKind(401, "A valid API key is needed"),
    "bound_key": ProblemKind(403, "A key that is bound to one account can not do this"),
    "insufficient_scope": ProblemKind(403, "The key's scopes do not allow this"),
    "not_found": ProblemKind(404, "What was named does not exist"),
    "unknown_route": ProblemKind(404, "There is nothing at this address"),
    "method_not_allowed": ProblemKind(405, "The method is not possible here"),
    "not_acceptable": ProblemKind(406, "No possible representation is acceptable"),
    "already_exists": ProblemKind(409, "It exists already"),
    "not_held": ProblemKind(409, "The sync does not wait to be accepted"),
    "webhook_disabled": ProblemKind(409, "The endpoint is disabled"),
    "import_in_progress": ProblemKind(409, "The document is being imported"),
    "overlapping_invoice": ProblemKind(409, "Another invoice is about a part of the period"),
    "ambiguous_event": ProblemKind(409, "Several sources have an event with this id"),
    "month_changed": ProblemKind(409, "Events of the month came meanwhile"),
    "month_still_open": ProblemKind(409, "The month can still change"),
    "sums_differ": ProblemKind(409, "The sums are not what the events come to"),
    "unresolved_usage": ProblemKind(409, "Some usage has no price or no account yet"),
    "events_retired": ProblemKind(410, "The events were taken out of the log"),
    "credits_overdrawn": ProblemKind(409, "Less is left of the credits"),
    "earlier_months_open": ProblemKind(409, "Earlier months are open"),
    "month_closed": ProblemKind(409, "The month is closed"),
    "month_not_over": ProblemKind(409, "The month is not over"),
    "nothing_to_close": ProblemKind(409, "There is nothing to close"),
    "unpriced_usage": ProblemKind(409, "Some usage has no price yet"),
    "body_too_large": ProblemKind(413, "The body is too large"),
    "invoice_too_large": ProblemKind(413, "The document is too large to be read in one piece"),
    "too_many_ids": ProblemKind(413, "There are too many ids in one question"),
    "too_many_events": ProblemKind(413, "There are too many events in one request"),
    "unsupported_media_type": ProblemKind(415, "The body's media type is not read here"),
    "all_rejected": ProblemKind(422, "None of the records could become an event"),
    "charge_too_large": ProblemKind(422, "The charge is too large"),
    "forbidden_address": ProblemKind(422, "Nothing is sent to this address"),
    "implausible_time": ProblemKind(422, "The time is not plausible"),
    "invalid_alias": ProblemKind(422, "The alias of a model can not be used"),
    "invalid_amount": ProblemKind(422, "The amount can not be used"),
    "invalid_basis": ProblemKind(422, "The budget can not count on this basis"),
    "invalid_discount": ProblemKind(422, "The discount can not be given"),
    "invalid_invoice": ProblemKind(422, "The document can not be read as a bill"),
    "invalid_plan": ProblemKind(422, "The plan can not be used"),
    "invalid_price": ProblemKind(422, "The price can not be used"),
    "invalid_quantity": ProblemKind(422, "The quantity can not be used"),
    "invalid_request": ProblemKind(422, "The request is not valid"),
    "invalid_scope": ProblemKind(422, "The budget can not be narrowed like this"),
    "invalid_spend_query": ProblemKind(422, "The spend question can not be answered as it is asked"),
    "invalid_threshold": ProblemKind(422, "The percentages can not be used"),
    "invalid_time": ProblemKind(422, "The time can not be read"),
    "invalid_webhook": ProblemKind(422, "The endpoint can not be as it is asked for"),
    "invalid_window": ProblemKind(422, "The budget can not have this window"),
    "invalid_yaml": ProblemKind(422, "The price sheet is not plain YAML"),
    "naive_time": ProblemKind(422, "The time has no zone"),
    "period_required": ProblemKind(422, "The period of the bill is not known"),
    "pricing_error": ProblemKind(422, "The prices or quantities can not be used"),
    "sum_too_large": ProblemKind(422, "A sum would leave 64 bits"),
    "too_many_rows": ProblemKind(422, "The answer would be too long"),
    "unknown_export": ProblemKind(422, "There is no such export"),
    "unvalued_usage": ProblemKind(422, "The bill states usage of which no price is known"),
    "wrong_account": ProblemKind(422, "The bill names another account"),
    "wrong_currency": ProblemKind(422, "The bill is in another currency"),
    "too_busy": ProblemKind(429, "Too much waits to be stored"),
    "export_does_not_add_up": ProblemKind(500, "The export would not agree with the statement"),
    "broken_bridge": ProblemKind(500, "Something went wrong in the service"),
    "no_token": ProblemKind(500, "The service is not configured correctly"),
    "export_failed": ProblemKind(500, "The export could not be written"),
    "missing_package": ProblemKind(500, "A package is not installed"),
    "internal_error": ProblemKind(500, "Something went wrong in the service"),
    "invalid_database_url": ProblemKind(500, "The service is not configured correctly"),
    "invalid_setting": ProblemKind(500, "The service is not configured correctly"),
    "source_failed": ProblemKind(502, "A source of prices failed"),
    "source_not_json": ProblemKind(502, "A source of prices did not answer with JSON"),
    "source_redirects": ProblemKind(502, "A source of prices sends elsewhere"),
    "source_refuses": ProblemKind(502, "A source of prices refuses to answer"),
    "source_too_large": ProblemKind(502, "A source of prices answered with too much"),
    "source_too_slow": ProblemKind(502, "A source of prices did not answer in time"),
    "source_unreachable": ProblemKind(502, "A source of prices can not be reached"),
    "schema_out_of_date": ProblemKind(503, "The database is not at this release's schema"),
    "secret_key": ProblemKind(503, "Secrets can not be encrypted or read"),
    "unavailable": ProblemKind(503, "The database does not answer"),
}


class FieldError(NamedTuple):
    """What is wrong with one field: its path (``body.seats``), a stable reason, and words."""

    field: str
    reason: str
    message: str


class ApiProblem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """A request that is answered with a problem. ``members`` are further members of the document."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.members = members


def problem_document(problem: ApiProblem, path: str) -> dict[str, Any]:
    """Return the document of a problem that occurred at ``path``; a code that no table knows is an internal error."""
    code = problem.code if problem.code in PROBLEMS else "internal_error"
    kind = PROBLEMS[code]
    document: dict[str, Any] = {
        "type": f"{PROBLEM_TYPE}{code}",
        "title": kind.title,
        "status": kind.status,
        # What is wrong inside is for the log, not for whoever asked.
        "detail": problem.detail
        if kind.status != 500
        else "the request failed; the server's log has the details under this answer's X-Request-Id",
        "code": code,
        "instance": quote(path, safe="/:@!$&'()*+,;=~"),
    }
    if problem.errors:
        document["errors"] = [error._asdict() for error in problem.errors]
    return document | dict(problem.members or {})


def problem_response(problem: ApiProblem, path: str) -> JSONResponse:
    """Return the answer to a request that met a problem."""
    document = problem_document(problem, path)
    headers = SAFETY_HEADERS | dict(problem.headers or {})
    return JSONResponse(document, document["status"], headers=headers, media_type=MEDIA_TYPE)
