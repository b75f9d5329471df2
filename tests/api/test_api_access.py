"""Access control on every route: keys, scopes, and isolation between accounts."""

import json
from pathlib import Path

import pytest

from metering.domain.accounts.api_keys import SCOPES
from metering.storage.tables import accounts, api_keys, credit_grants, plan_changes, price_tables
from pricing.tables import Layer
from support.builders import SECOND
from support.every_call import ABOUT_ALL, ABOUT_AN_ACCOUNT, EVERY_CALL, FIRST, OPEN, WITH_A_KEY, send
from support.for_each import for_each
from support.native_events import native

each_with_a_key = for_each("call", WITH_A_KEY)


# The reviewed document; another test checks that the API serves it.
DOCUMENT = json.loads(Path(__file__).with_name("openapi.json").read_text())
OPERATIONS = {each["operationId"]: each for methods in DOCUMENT["paths"].values() for each in methods.values()}
HEADERS = [None, "Bearer", "Bearer ", "Bearer nonsense", "Bearer hfm_000000000000_00", "Basic eDp5"]


def test_these_tests_know_every_operation():
    assert sorted(call.operation for call in EVERY_CALL) == sorted(OPERATIONS)


def test_only_health_needs_no_key(api):
    closed = {name for name, operation in OPERATIONS.items() if operation.get("security")}
    assert closed == {call.operation for call in WITH_A_KEY}
    assert [send(api.client(), call).status_code for call in OPEN] == [200, 200]


@each_with_a_key
def test_a_request_without_a_valid_key_is_refused(refusing, call):
    for header in HEADERS:
        client = refusing.client()
        if header is not None:
            client.headers["authorization"] = header
        answer = send(client, call)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@each_with_a_key
def test_a_key_with_the_right_prefix_and_a_wrong_secret_is_invalid(refusing, call):
    token = refusing.token("admin")
    client = refusing.client()
    client.headers["authorization"] = f"Bearer {token[:-1]}{'0' if token[-1] != '0' else '1'}"
    answer = send(client, call)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert token[10:-1] not in answer.text


@pytest.fixture
def client_of_scope(api):
    return {scope: api.client(scope) for scope in SCOPES}


@each_with_a_key
def test_a_route_needs_exactly_the_scope_that_the_document_names(client_of_scope, call):
    (needed,) = OPERATIONS[call.operation]["security"][0]["apiKey"]
    for scope, client in client_of_scope.items():
        answer = send(client, call)
        allowed = scope in (needed, "admin")
        assert (answer.status_code != 403) == allowed, (scope, answer.text)
        if not allowed:
            assert answer.json()["code"] == "insufficient_scope"
            assert f'scope="{needed}"' in answer.headers["www-authenticate"]


def test_scopes_separate_ingesting_reading_and_administration():
    found = {name: operation["security"][0]["apiKey"][0] for name, operation in OPERATIONS.items() if "security" in operation}
    assert {name for name, scope in found.items() if scope == "ingest"} == {"ingest_events"}
    deciding = {
        "declare_account", "change_account", "set_plan", "grant_credits", "note_used_elsewhere", "rerate",
        "list_keys", "create_key", "revoke_key", "import_prices", "discount_prices",
        "sync_prices", "accept_price_sync", "void_credits", "close_statement", "adjust_account",
        "list_webhooks", "create_webhook", "show_webhook", "change_webhook", "delete_webhook", "rotate_webhook",
        "list_deliveries", "redeliver", "test_webhook",
        "create_budget", "change_budget", "delete_budget",
        "import_invoice", "reconcile", "resolve_variance",
        "list_unassigned", "assign_usage",
        "list_corrections", "correct_usage", "withdraw_usage", "resume_correction", "undo_correction",
        "accept_conflict", "dismiss_conflict", "add_model_alias", "remove_model_alias",
    }  # fmt: skip
    assert {name for name, scope in found.items() if scope == "admin"} == deciding


@each_with_a_key
def test_a_revoked_key_is_refused_at_once(refusing, call, refused):
    client = refusing.client("admin")
    prefix = client.headers["authorization"].split("_")[1]
    assert refused.delete(f"/v1/keys/{prefix}").status_code == 204
    assert send(client, call).status_code == 401


@for_each("call", EVERY_CALL)
def test_an_unknown_parameter_is_refused_by_name(refused, call):
    extended = call._replace(path=f"{call.path}{'&' if '?' in call.path else '?'}colour=red")
    answer = send(refused, extended)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
    assert "colour" in answer.json()["detail"]


@pytest.fixture
def acme_next_to_globex(api, acme):
    """A client of acme's, where globex has usage."""
    api.client("ingest", account="globex").post("/v1/events", json=native(account=None))
    return acme


@for_each("call", ABOUT_AN_ACCOUNT)
def test_another_account_s_data_answers_exactly_as_if_it_did_not_exist(acme_next_to_globex, call):
    acme = acme_next_to_globex
    theirs, unknown = send(acme, call, "globex"), send(acme, call, "nobody")
    assert theirs.status_code == unknown.status_code == 404
    assert theirs.json()["code"] == "not_found"
    assert theirs.text.replace("globex", "nobody") == unknown.text

    def headers_of(answer):
        return {name: value for name, value in answer.headers.items() if name not in ("content-length", "x-request-id")}

    assert headers_of(theirs) == headers_of(unknown)


# An unbound key may send events to undeclared accounts; that usage is unassigned.
@for_each("call", [call for call in ABOUT_AN_ACCOUNT if call.operation != "ingest_events"])
def test_a_key_for_all_accounts_gets_the_same_answer_for_what_does_not_exist(refused, refused_acme, call):
    assert send(refused, call, "nobody").text == send(refused_acme, call, "nobody").text


@pytest.fixture
def acme_with_data(acme):
    """A client of acme's that has made the first calls."""
    for needed in FIRST:
        assert send(acme, needed).is_success
    return acme


@for_each("call", ABOUT_AN_ACCOUNT)
def test_a_bound_key_can_access_its_own_account(acme_with_data, call):
    assert send(acme_with_data, call).status_code in (200, 201)


@for_each("call", ABOUT_AN_ACCOUNT)
def test_a_bound_key_cannot_change_what_it_cannot_see(refusing, refused_acme, call):
    before = [refusing.meter.rows(table.select()) for table in (accounts, plan_changes, credit_grants, api_keys, price_tables)]
    send(refused_acme, call, "globex")
    assert [
        refusing.meter.rows(table.select()) for table in (accounts, plan_changes, credit_grants, api_keys, price_tables)
    ] == before


def test_lists_of_a_bound_key_contain_only_its_own_account(api, acme, admin):
    for name in ("acme", "globex"):
        admin.post("/v1/events", json=native(account=name))
        api.token("read", account=name)
    assert [item["name"] for item in acme.get("/v1/accounts").json()["items"]] == ["acme"]
    assert [item["account"] for item in acme.get("/v1/statements").json()["items"]] == ["acme"]
    assert {item["account"] for item in acme.get("/v1/keys").json()["items"]} == {"acme"}
    spend = acme.get("/v1/spend?group_by=account").json()
    assert (spend["account"], [row["group"]["account"] for row in spend["rows"]]) == ("acme", ["acme"])
    assert [item["account"] for item in admin.get("/v1/statements").json()["items"]] == ["acme", "globex"]
    assert [row["group"]["account"] for row in admin.get("/v1/spend?group_by=account").json()["rows"]] == ["acme", "globex"]


def test_an_account_s_own_prices_are_hidden_from_others(api, acme, admin, own_prices):
    own_prices("globex", "secret-discount")
    own_prices("acme", "ours")
    assert {item["source"] for item in acme.get("/v1/prices").json()["items"]} == {"sheet", "ours"}
    assert {item["source"] for item in acme.get("/v1/prices/tables").json()["items"]} == {"sheet", "ours"}
    assert acme.get("/v1/prices?source=secret-discount").json()["items"] == []
    found = {item["source"]: item["account"] for item in admin.get("/v1/prices").json()["items"]}
    assert found == {"sheet": None, "secret-discount": "globex", "ours": "acme"}
    tables = {item["source"]: item["layer"] for item in admin.get("/v1/prices/tables").json()["items"]}
    assert tables == {"sheet": Layer.OPERATOR.name.lower(), "secret-discount": "account", "ours": "account"}


@for_each(
    "operation",
    [
        "declare_account", "list_quarantine", "sync_prices", "list_price_syncs", "show_price_sync", "accept_price_sync",
    ],
)  # fmt: skip
def test_routes_about_all_accounts_need_an_unbound_key(acme, operation):
    (call,) = [each for each in ABOUT_ALL if each.operation == operation]
    answers = [send(acme, call, name) for name in ("globex", "nobody", "acme")]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "bound_key")}


def test_a_bound_key_cannot_learn_which_names_are_taken(acme):
    answers = [acme.patch("/v1/accounts/acme", json={"name": name}) for name in ("globex", "nobody")]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "bound_key")}
    assert acme.get("/v1/accounts/acme").status_code == 200


def test_a_bound_key_can_neither_revoke_nor_discover_another_account_s_key(api, acme):
    theirs = api.client("read", account="globex")
    everybodys = api.client("read")
    for client in (theirs, everybodys):
        prefix = client.headers["authorization"].split("_")[1]
        answer, unknown = acme.delete(f"/v1/keys/{prefix}"), acme.delete("/v1/keys/000000000000")
        assert answer.status_code == unknown.status_code == 404
        assert answer.text.replace(prefix, "000000000000") == unknown.text
        assert client.get("/v1/accounts").status_code == 200


def test_a_bound_key_may_omit_its_account_everywhere(acme):
    for path in ("/v1/events", "/v1/spend", "/v1/credits", "/v1/statements"):
        assert acme.get(path).status_code == 200
    assert acme.post("/v1/credits", json={"amount_usd": "1"}).status_code == 200
    assert acme.post("/v1/credits/used-elsewhere", json={"month": "2026-11", "amount_usd": "0"}).json()["account"] == "acme"
    assert acme.post("/v1/keys", json={"name": "k", "scopes": ["read"]}).json()["account"] == "acme"


@for_each("path", ["/v1/events", "/v1/credits"])
def test_an_unbound_key_must_name_the_account_where_the_answer_is_about_one(admin, path):
    answer = admin.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "account_required")


def test_a_record_for_another_account_is_rejected_alone(api, acme):
    sent = [native("a", account=None), native("b", account="globex"), native("c", account="nobody"), native("d")]
    answer = acme.post("/v1/events", json=sent).json()
    assert (answer["accepted"], answer["rejected"], answer["unassigned"]) == (2, 2, 0)
    (first, second) = answer["items"]
    assert (first["index"], first["code"], first["field"], first["id"]) == (1, "account_mismatch", "account", "b")
    assert {**first, "index": 2, "id": "c"} == second
    assert api.meter.total() == 240_000


def test_events_of_a_bound_key_go_to_its_account_whatever_their_time_and_its_name(api, admin):
    client = api.client("ingest", "read", account="acme")
    api.meter.now += 1
    admin.patch("/v1/accounts/acme", json={"name": "acme-labs"})
    sent = [native("unnamed", account=None), native("new", account="acme-labs"), native("old", account="acme")]
    late = "2026-11-23T10:00:01Z"  # a second after the change of name
    sent += [native("late", account="acme-labs", time=late), native("late-old", account="acme", time=late)]
    answer = client.post("/v1/events", json=sent).json()
    assert (answer["accepted"], answer["unassigned"]) == (5, 0), answer
    assert {item["account"] for item in client.get("/v1/events").json()["items"]} == {"acme-labs"}
    assert client.get("/v1/events?account=acme").status_code == 404


def test_a_name_that_moved_to_another_account_is_that_account_s_from_then_on(api, admin):
    client = api.client("ingest", account="acme")
    api.meter.now += 1
    admin.patch("/v1/accounts/acme", json={"name": "acme-labs"})
    admin.patch("/v1/accounts/globex", json={"name": "acme"})
    before, after = "2026-11-23T09:59:59Z", "2026-11-23T10:00:01Z"
    answer = client.post("/v1/events", json=[native("a", time=before), native("b", time=after)]).json()
    assert [(item["id"], item["code"]) for item in answer["items"]] == [("b", "account_mismatch")]


def test_a_name_unused_at_the_time_of_an_event_is_its_former_owner_s(api, admin):
    client = api.client("ingest", account="acme")
    api.meter.now += 1
    admin.patch("/v1/accounts/acme", json={"name": "acme-labs"})
    api.meter.now += 10 * SECOND
    admin.patch("/v1/accounts/globex", json={"name": "acme"})
    between, after = "2026-11-23T10:00:05Z", "2026-11-23T10:00:15Z"
    answer = client.post("/v1/events", json=[native("a", time=between), native("b", time=after)]).json()
    assert (answer["accepted"], [item["id"] for item in answer["items"]]) == (1, ["b"])


def test_a_bound_key_that_creates_accounts_creates_none(api):
    client = api.client("ingest", account="acme")
    api.meter.execute("UPDATE api_keys SET creates_accounts = 1")  # such a key can no longer be created; an old one may exist
    assert client.post("/v1/events", json=native(account="new")).status_code == 422
    assert api.meter.count(accounts) == 3  # unassigned, acme, globex
