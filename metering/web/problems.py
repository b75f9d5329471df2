"""Errors over HTTP: ``application/problem+json`` (RFC 9457) with a stable ``code``.

The table below is the only place that knows the status of a code. A problem contains nothing of a request's body and no
internal details of the service.
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
    """The HTTP status of a code, and its title, which is the same for every problem with the code."""

    status: int
    title: str


PROBLEMS: dict[str, ProblemKind] = {
    "account_required": ProblemKind(400, "An account is required"),
    "empty_file": ProblemKind(400, "The input is empty"),
    "invalid_cursor": ProblemKind(400, "The cursor does not belong to this query"),
    "invalid_encoding": ProblemKind(400, "The body cannot be decompressed"),
    "malformed_request": ProblemKind(400, "The request cannot be read"),
    "duplicate_column": ProblemKind(400, "The input has a column twice"),
    "missing_column": ProblemKind(400, "The input lacks a column"),
    "not_json": ProblemKind(400, "The body is not JSON"),
    "unknown_invoice_format": ProblemKind(400, "The format of the bill is not recognized"),
    "unknown_format": ProblemKind(400, "The format is not recognized or not supported"),
    "unknown_parameter": ProblemKind(400, "Unknown query parameter"),
    "unauthenticated": ProblemKind(401, "A valid API key is required"),
    "bound_key": ProblemKind(403, "A key that is bound to one account cannot do this"),
    "insufficient_scope": ProblemKind(403, "The key's scopes do not allow this"),
    "not_found": ProblemKind(404, "Not found"),
    "unknown_route": ProblemKind(404, "No such path"),
    "method_not_allowed": ProblemKind(405, "Method not allowed"),
    "not_acceptable": ProblemKind(406, "No acceptable representation"),
    "already_exists": ProblemKind(409, "Already exists"),
    "already_decided": ProblemKind(409, "The conflict was decided before"),
    "nothing_to_replace": ProblemKind(409, "The event no longer counts"),
    "not_held": ProblemKind(409, "The sync is not pending"),
    "webhook_disabled": ProblemKind(409, "The endpoint is disabled"),
    "import_in_progress": ProblemKind(409, "The document is being imported"),
    "ambiguous_total_rows": ProblemKind(409, "A row of the bill may be the sum of others"),
    "reading_required": ProblemKind(409, "The total can be read in two ways"),
    "overlapping_invoice": ProblemKind(409, "Another invoice covers part of the period"),
    "ambiguous_event": ProblemKind(409, "Several sources have an event with this ID"),
    "month_changed": ProblemKind(409, "Events of the month arrived in the meantime"),
    "month_still_open": ProblemKind(409, "The month can still change"),
    "sums_differ": ProblemKind(409, "The sums do not match the events"),
    "unresolved_usage": ProblemKind(409, "Some usage has no price or no account yet"),
    "events_retired": ProblemKind(410, "The events were removed from the log"),
    "credits_overdrawn": ProblemKind(409, "Not enough credits are left"),
    "earlier_months_open": ProblemKind(409, "Earlier months are open"),
    "month_closed": ProblemKind(409, "The month is closed"),
    "month_not_over": ProblemKind(409, "The month is not over"),
    "nothing_to_close": ProblemKind(409, "There is nothing to close"),
    "unpriced_usage": ProblemKind(409, "Some usage has no price yet"),
    "body_too_large": ProblemKind(413, "The body is too large"),
    "invoice_too_large": ProblemKind(413, "The document is too large"),
    "too_many_ids": ProblemKind(413, "Too many IDs in one request"),
    "too_many_events": ProblemKind(413, "Too many events in one request"),
    "unsupported_media_type": ProblemKind(415, "Unsupported media type"),
    "all_rejected": ProblemKind(422, "All records were rejected"),
    "ambiguous_time": ProblemKind(422, "The time occurs twice in its time zone"),
    "charge_too_large": ProblemKind(422, "The charge is too large"),
    "forbidden_address": ProblemKind(422, "The address is not allowed"),
    "implausible_time": ProblemKind(422, "The time is not plausible"),
    "invalid_alias": ProblemKind(422, "Invalid model alias"),
    "invalid_amount": ProblemKind(422, "Invalid amount"),
    "invalid_basis": ProblemKind(422, "Invalid basis for the budget"),
    "invalid_discount": ProblemKind(422, "Invalid discount"),
    "invalid_invoice": ProblemKind(422, "The document cannot be read as a bill"),
    "invalid_plan": ProblemKind(422, "Invalid plan"),
    "invalid_price": ProblemKind(422, "Invalid price"),
    "invalid_quantity": ProblemKind(422, "Invalid quantity"),
    "invalid_request": ProblemKind(422, "Invalid request"),
    "invalid_scope": ProblemKind(422, "Invalid scope for the budget"),
    "invalid_spend_query": ProblemKind(422, "Invalid spend query"),
    "invalid_threshold": ProblemKind(422, "Invalid threshold"),
    "invalid_time": ProblemKind(422, "Invalid time"),
    "invalid_webhook": ProblemKind(422, "Invalid webhook endpoint"),
    "invalid_window": ProblemKind(422, "Invalid window for the budget"),
    "invalid_yaml": ProblemKind(422, "The price sheet is not plain YAML"),
    "naive_time": ProblemKind(422, "The time has no time zone"),
    "period_required": ProblemKind(422, "The period of the bill is unknown"),
    "pricing_error": ProblemKind(422, "Invalid prices or quantities"),
    "sum_too_large": ProblemKind(422, "A sum would exceed 64 bits"),
    "too_many_rows": ProblemKind(422, "The answer would be too large"),
    "unknown_export": ProblemKind(422, "Unknown export"),
    "unvalued_usage": ProblemKind(422, "The bill lists usage without a known price"),
    "wrong_account": ProblemKind(422, "The bill names a different account"),
    "wrong_currency": ProblemKind(422, "The bill is in a different currency"),
    "too_busy": ProblemKind(429, "Too many events are waiting to be stored"),
    "export_does_not_add_up": ProblemKind(500, "The export would not agree with the statement"),
    "broken_bridge": ProblemKind(500, "Internal error"),
    "no_token": ProblemKind(500, "The service is not configured correctly"),
    "export_failed": ProblemKind(500, "The export could not be written"),
    "missing_package": ProblemKind(500, "A package is not installed"),
    "internal_error": ProblemKind(500, "Internal error"),
    "invalid_database_url": ProblemKind(500, "The service is not configured correctly"),
    "invalid_setting": ProblemKind(500, "The service is not configured correctly"),
    "source_failed": ProblemKind(502, "An upstream service failed"),
    "source_not_json": ProblemKind(502, "An upstream service did not return JSON"),
    "source_redirects": ProblemKind(502, "An upstream service redirects elsewhere"),
    "source_refuses": ProblemKind(502, "An upstream service refuses to answer"),
    "source_too_large": ProblemKind(502, "An upstream service returned too much data"),
    "source_too_slow": ProblemKind(502, "An upstream service did not answer in time"),
    "source_unreachable": ProblemKind(502, "An upstream service cannot be reached"),
    "schema_out_of_date": ProblemKind(503, "The database does not have this release's schema"),
    "secret_key": ProblemKind(503, "Secrets cannot be encrypted or decrypted"),
    "unavailable": ProblemKind(503, "The database does not respond"),
}


class FieldError(NamedTuple):
    """An error in one field: its path (``body.seats``), a stable reason, and a message."""

    field: str
    reason: str
    message: str


class ApiProblem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """A request to be answered with a problem. ``members`` are further members of the document."""

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
    """Return the document of a problem at ``path``; an unknown code is an internal error."""
    code = problem.code if problem.code in PROBLEMS else "internal_error"
    kind = PROBLEMS[code]
    document: dict[str, Any] = {
        "type": f"{PROBLEM_TYPE}{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail if kind.status != 500 else _INTERNAL,
        "code": code,
        "instance": quote(path, safe="/:@!$&'()*+,;=~"),
    }
    if problem.errors:
        document["errors"] = [error._asdict() for error in problem.errors]
    return document | dict(problem.members or {})


def problem_response(problem: ApiProblem, path: str) -> JSONResponse:
    """Return the answer with a problem."""
    document = problem_document(problem, path)
    headers = SAFETY_HEADERS | dict(problem.headers or {})
    return JSONResponse(document, document["status"], headers=headers, media_type=MEDIA_TYPE)
