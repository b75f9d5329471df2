"""Keys, scopes, isolation of accounts, and errors as problems."""

import pytest

NOT_THERE = [
    "/v1/accounts/{}",
    "/v1/accounts/{}/plan",
    "/v1/statements/{}/2026-11",
    "/v1/credits?account={}",
    "/v1/events?account={}",
    "/v1/spend?account={}&start=2026-11-01T00:00:00Z&end=2026-12-01T00:00:00Z",
]


@pytest.mark.parametrize("path", NOT_THERE)
def test_another_accounts_data_looks_as_if_it_did_not_exist(api, path):
    theirs = api.get(path.format("other"), "acme")
    nobodys = api.get(path.format("nobody"), "acme")
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json()["code"] == nobodys.json()["code"] == "not_found"
    assert theirs.json()["detail"].replace("other", "X") == nobodys.json()["detail"].replace("nobody", "X")
    assert api.get(path.format("acme"), "acme").status_code == 200


def test_lists_of_a_bound_key_contain_only_its_own_account(api):
    assert [account["name"] for account in api.get("/v1/accounts", "acme").json()["items"]] == ["acme"]


@pytest.mark.parametrize("token", [None, "nonsense", "hfm_000000000000_" + "0" * 64])
def test_a_request_without_a_valid_key_is_refused(api, token):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = api.client.get("/v1/accounts", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_stops_working(api):
    prefix = api.tokens["reader"].split("_")[1]
    assert api.client.delete(f"/v1/keys/{prefix}", headers=api.as_("admin")).status_code in (200, 204)
    assert api.get("/v1/accounts").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("POST", "/v1/events", "reader"),
        ("GET", "/v1/spend", "writer"),
        ("GET", "/v1/keys", "reader"),
        ("POST", "/v1/accounts", "acme"),
    ],
)
def test_a_missing_scope_is_named(api, method, path, key):
    body = {"json": {"name": "new"}} if method == "POST" else {}
    answer = api.client.request(method, path, headers=api.as_(key), **body)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/nothing", 404, "unknown_route"),
        ("/v1/accounts?colour=red", 400, "unknown_parameter"),
        ("/v1/accounts?cursor=tampered", 400, "invalid_cursor"),
        ("/v1/statements/acme/2026-13", 422, "invalid_request"),
    ],
)
def test_errors_are_problems_with_a_stable_code(api, path, status, code):
    answer = api.get(path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code // 100, answer.json()["code"] != "internal_error") == (4, True)
    if path != "/v1/statements/acme/2026-13":
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_body_with_an_unknown_field_is_refused_and_not_echoed(api):
    answer = api.post("/v1/accounts", json={"name": "new", "secret": "do not repeat me"})
    assert answer.status_code == 422
    assert "do not repeat me" not in answer.text


def test_health_needs_no_key(api):
    assert api.client.get("/healthz").status_code == 200
    assert api.client.get("/readyz").status_code == 200
