"""The table of problems, and the document of a problem."""

from http import HTTPStatus

from metering.web.problems import PROBLEMS, ApiProblem, FieldError, problem_document


def test_every_code_has_an_error_status_and_a_title():
    for code, kind in PROBLEMS.items():
        assert HTTPStatus(kind.status) >= 400
        assert kind.title
        assert code.replace("_", "").isalpha()


def test_a_problem_has_the_members_of_rfc_9457_and_its_code():
    problem = ApiProblem(
        "invalid_request", "no", errors=[FieldError("body.x", "missing", "it is missing")], members={"received": 3}
    )
    assert problem_document(problem, "/v1/ü") == {
        "type": "urn:hf-metering:problem:invalid_request", "title": "Invalid request", "status": 422, "detail": "no",
        "code": "invalid_request", "instance": "/v1/%C3%BC", "received": 3,
        "errors": [{"field": "body.x", "reason": "missing", "message": "it is missing"}],
    }  # fmt: skip


def test_an_unknown_code_is_an_internal_error_without_details():
    document = problem_document(ApiProblem("secret_code", "secret detail"), "/")
    assert (document["status"], document["code"]) == (500, "internal_error")
    assert "secret" not in str(document)
