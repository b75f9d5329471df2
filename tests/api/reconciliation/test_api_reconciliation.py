"""Invoices over HTTP: imported, reconciled, resolved; with accounts kept apart."""

import csv

import pytest

from metering.operations.alerts.list_alerts import list_alerts
from support.builders import instant, usage_event

CHARGE = 120_000
CSV = {"content-type": "text/csv"}


def request(number, **fields):
    return usage_event(**{"id": f"r{number}", "inference_id": f"inference-{number:04d}"} | fields)


def bill(*numbers, amount=CHARGE):
    return "request_id,amount_nano_usd\n" + "".join(f"inference-{number:04d},{amount}\n" for number in numbers)


def send_bill(client, content, **query):
    return client.post("/v1/invoices", params={"account": "acme", "month": "2026-11"} | query, content=content, headers=CSV)


@pytest.fixture
def metered(api):
    api.meter.now = instant("2026-12-05T00:00:00Z")
    api.meter.ingest(*(request(number) for number in range(5)))
    return api


def test_an_invoice_is_imported_reconciled_and_resolved(metered, admin):
    answer = send_bill(admin, bill(0, 1, 2, 2, 77), number="N-1")
    assert answer.status_code == 201, answer.text
    imported = answer.json()
    assert (imported["is_new"], imported["invoice"]["lines"], imported["invoice"]["grain"]) == (True, 5, "request")
    run = admin.post("/v1/reconciliations", json={"invoice": imported["invoice"]["id"], "tolerance_usd": "0"}).json()
    assert run["ours_nano_usd"] + sum(step["amount_nano_usd"] for step in run["steps"]) == run["theirs_nano_usd"]
    assert {step["cause"]: step["amount_nano_usd"] for step in run["steps"]} == {
        "missing_there": -2 * CHARGE,
        "missing_here": CHARGE,
        "duplicate_there": CHARGE,
    }
    assert (run["open"], run["requests"], run["matched_requests"], run["matched_nano_usd"]) == (3, 5, 3, 4 * CHARGE)
    missing = next(each for each in run["variances"] if each["cause"] == "missing_there")
    address = f"/v1/reconciliations/{run['id']}/variances/{missing['id']}"
    shown = admin.get(address).json()
    assert [(each["event_id"], each["ours_nano_usd"], each["theirs_nano_usd"]) for each in shown["evidence"]] == [
        ("r3", CHARGE, None),
        ("r4", CHARGE, None),
    ]
    decided = admin.post(f"{address}/decisions", json={"state": "disputed", "reason": "asked them", "who": "ada"}).json()
    assert [(each["state"], each["who"]) for each in decided["decisions"]] == [("open", "reconcile"), ("disputed", "ada")]
    assert admin.get(f"/v1/reconciliations/{run['id']}").json()["open"] == 2
    rows = admin.get(f"{address}.csv").text.splitlines()
    assert len(rows) == 3
    assert rows[1].startswith(f"{missing['id']},missing_there,,r3,gateway,2026-11-03T12:00:00.000000Z,together,llama")


def test_a_run_is_downloaded_as_csv_and_as_a_page_without_a_script(metered, admin):
    send_bill(admin, bill(0, 1))
    run = admin.post("/v1/reconciliations", json={"invoice": 1}).json()
    text = admin.get(f"/v1/reconciliations/{run['id']}.csv")
    assert text.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(text.text.splitlines()))
    at = rows[0].index("amount_nano_usd")
    bridge = [(row[0], int(row[at])) for row in rows[1:] if row[0] in ("ours", "step", "theirs")]
    assert bridge == [("ours", 5 * CHARGE), ("step", -3 * CHARGE), ("theirs", 2 * CHARGE)]
    page = admin.get(f"/v1/reconciliations/{run['id']}.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<svg" in page.text
    assert "<script" not in page.text
    assert "http" not in page.text.replace("http-equiv", "")


def test_each_account_has_its_own_invoice_from_the_same_document(metered, acme, api):
    globex = api.client("admin", account="globex")
    first = send_bill(acme, bill(0)).json()
    second = send_bill(globex, bill(0), account="globex").json()
    assert (second["is_new"], second["invoice"]["account"]) == (True, "globex")
    assert second["invoice"]["id"] != first["invoice"]["id"]


def test_an_invoice_shows_its_newest_reconciliation(metered, admin):
    assert send_bill(admin, bill(0)).json()["invoice"]["reconciliation"] is None
    for _ in range(2):
        run = admin.post("/v1/reconciliations", json={"invoice": 1}).json()
    newest = {name: value for name, value in run.items() if name not in ("open", "steps", "variances")}
    assert (newest["id"], newest["account"]) == (2, "acme")
    assert admin.get("/v1/invoices/1").json()["reconciliation"] == newest
    assert admin.get("/v1/invoices").json()["items"][0]["reconciliation"] == newest
    assert send_bill(admin, bill(0)).json()["invoice"]["reconciliation"] == newest


def test_a_file_name_and_routes_can_be_stated(metered, admin):
    invoice = send_bill(admin, bill(0), file="november.csv", route="routed").json()["invoice"]
    assert (invoice["file"], invoice["routes"]) == ("november.csv", ["routed"])
    answer = send_bill(admin, bill(1), route="unknown")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_invoice")


def test_the_same_document_again_is_the_same_invoice(metered, admin):
    first, again = send_bill(admin, bill(1)).json(), send_bill(admin, bill(1)).json()
    assert (first["is_new"], again["is_new"]) == (True, False)
    assert first["invoice"] == again["invoice"]
    corrected = send_bill(admin, bill(1, 2)).json()["invoice"]
    assert corrected["supersedes"] == first["invoice"]["id"]
    assert [each["id"] for each in admin.get("/v1/invoices").json()["items"]] == [2, 1]
    answer = admin.post("/v1/reconciliations", json={"invoice": 1})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("content", "query", "status", "code"),
    [
        ("date,amount\n2026-11-01,€5\n", {}, 422, "wrong_currency"),
        ("date,amount,account\n2026-11-01,5,globex\n", {}, 422, "wrong_account"),
        ("a,b\n1,2\n", {}, 400, "missing_column"),
        ("", {}, 400, "empty_file"),
        (bill(1), {"month": ""}, 422, "invalid_time"),
        (bill(1), {"format": "pdf"}, 400, "unknown_invoice_format"),
        (bill(1), {"map": "nonsense"}, 422, "invalid_request"),
        (bill(1), {"supersedes": "9"}, 404, "not_found"),
        (bill(1), {"start": "2026-11-01"}, 422, "invalid_request"),
    ],
)
def test_an_invalid_invoice_is_refused_with_a_code(metered, admin, content, query, status, code):
    answer = send_bill(admin, content, **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert admin.get("/v1/invoices").json()["items"] == []


def test_an_invoice_without_a_period_needs_one(metered, admin):
    answer = admin.post("/v1/invoices?account=acme", content=bill(1), headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (422, "period_required")


def test_an_overlapping_invoice_is_a_conflict(metered, admin):
    send_bill(admin, bill(1))
    query = {"account": "acme", "start": "2026-11-02", "end": "2026-12-02"}
    answer = admin.post("/v1/invoices", params=query, content=bill(2), headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (409, "overlapping_invoice")


@pytest.mark.parametrize("name", ["allow_overlap", "beside"])
def test_an_overlapping_invoice_can_be_allowed_by_either_name(metered, admin, name):
    send_bill(admin, bill(1))
    query = {"account": "acme", "start": "2026-11-02", "end": "2026-12-02", name: "true"}
    answer = admin.post("/v1/invoices", params=query, content=bill(2), headers=CSV)
    assert (answer.status_code, answer.json()["invoice"]["id"]) == (201, 2)


def test_lists_come_in_pages(metered, admin):
    for number in range(3):
        send_bill(admin, bill(number))
        admin.post("/v1/reconciliations", json={"invoice": number + 1})
    for path in ("/v1/invoices", "/v1/reconciliations"):
        first = admin.get(f"{path}?limit=2").json()
        rest = admin.get(f"{path}?limit=2&cursor={first['next_cursor']}").json()
        assert [each["id"] for each in (*first["items"], *rest["items"])] == [3, 2, 1]
        assert rest["next_cursor"] is None


def test_invoices_of_another_account_answer_as_if_they_did_not_exist(metered, admin, acme, api):
    globex = api.client("admin", account="globex")
    send_bill(acme, bill(0, 1))
    run = acme.post("/v1/reconciliations", json={"invoice": 1}).json()
    variance = run["variances"][0]["id"]
    paths = [
        "/v1/invoices/{}", "/v1/reconciliations/{}", "/v1/reconciliations/{}.csv", "/v1/reconciliations/{}.html",
    ]  # fmt: skip
    for path in paths:
        foreign, missing = globex.get(path.format(1)), globex.get(path.format(99))
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json()["detail"].replace("1", "99") == missing.json()["detail"]
        assert acme.get(path.format(1)).status_code == 200
    of_variance = f"/v1/reconciliations/{run['id']}/variances/{variance}"
    assert globex.get(of_variance).status_code == globex.get(f"{of_variance}.csv").status_code == 404
    assert globex.post(f"{of_variance}/decisions", json={"state": "accepted", "reason": "x"}).status_code == 404
    assert globex.post("/v1/reconciliations", json={"invoice": 1}).status_code == 404
    assert globex.get("/v1/invoices").json()["items"] == globex.get("/v1/reconciliations").json()["items"] == []
    other = send_bill(globex, bill(0), account="globex").json()["invoice"]["id"]
    answer = send_bill(acme, bill(2), supersedes=str(other))
    assert answer.status_code == 404
    assert acme.get(of_variance).json()["state"] == "open"


def test_a_variance_of_another_run_is_not_found(metered, admin):
    send_bill(admin, bill(0))
    first = admin.post("/v1/reconciliations", json={"invoice": 1}).json()
    second = admin.post("/v1/reconciliations", json={"invoice": 1}).json()
    answer = admin.get(f"/v1/reconciliations/{second['id']}/variances/{first['variances'][0]['id']}")
    assert answer.status_code == 404


def test_an_open_variance_is_an_alert_of_its_account(metered, admin, acme):
    send_bill(admin, bill(0))
    admin.post("/v1/reconciliations", json={"invoice": 1, "tolerance_usd": "0"})
    (alert,) = acme.get("/v1/alerts?type=reconciliation.variance_found").json()["items"]
    assert (alert["account"], alert["data"]["invoice"]) == ("acme", 1)
    assert len(list_alerts(metered.meter.engine, type_=None, account_id=None, before=None, limit=10)) == 1


def test_a_variance_of_sums_shows_the_requests_that_explain_it_and_its_csv_lists_them(metered, admin):
    metered.meter.ingest(*(request(number, status=500) for number in range(10, 13)))
    bill = f"provider,amount_nano_usd\ntogether,{8 * CHARGE}\n"
    invoice = send_bill(admin, bill).json()["invoice"]["id"]
    run = admin.post("/v1/reconciliations", json={"invoice": invoice}).json()
    (variance,) = run["variances"]
    assert (variance["cause"], variance["session"], variance["amount_nano_usd"]) == ("failed_billed", None, 3 * CHARGE)
    address = f"/v1/reconciliations/{run['id']}/variances/{variance['id']}"
    shown = admin.get(address, params={"evidence": 2}).json()
    assert [(each["event_id"], each["explains_nano_usd"], each["explanation"]) for each in shown["requests"]] == [
        ("r10", CHARGE, "failed_billed"),
        ("r11", CHARGE, "failed_billed"),
    ]
    assert (shown["requests_in_all"], shown["invoice"]) == (3, invoice)
    rows = list(csv.DictReader(admin.get(f"{address}.csv").text.splitlines()))
    assert [(row["row"], row["event_id"]) for row in rows] == [
        ("difference", ""),
        ("request", "r10"),
        ("request", "r11"),
        ("request", "r12"),
    ]


def test_a_pasted_total_is_corrected_under_the_reading_that_is_chosen(metered, admin):
    metered.meter.set_plan("pro", "2026-11-01")
    sent = {"account": "acme", "month": "2026-11"}
    imported = admin.post("/v1/invoices", params=sent, content="12.00", headers={"content-type": "text/plain"}).json()
    usage = 5 * CHARGE
    assert [(each["reading"], each["ours_nano_usd"]) for each in imported["readings"]] == [
        ("statement", 9_000_000_000),
        ("usage", usage),
    ]
    run = admin.post("/v1/reconciliations", json={"invoice": imported["invoice"]["id"], "tolerance_usd": "0"}).json()
    (variance,) = [each["id"] for each in run["variances"] if each["state"] == "open"]
    address = f"/v1/reconciliations/{run['id']}/variances/{variance}/decisions"
    decision = {"state": "accepted", "reason": "theirs", "correct": True}
    refused = admin.post(address, json=decision)
    assert (refused.status_code, refused.json()["code"]) == (409, "reading_required")
    decided = admin.post(address, json=decision | {"reads": "usage"})
    assert decided.status_code == 201, decided.text
    assert (decided.json()["corrected_nano_usd"], decided.json()["invoice"]) == (12_000_000_000 - usage, 1)
    shown = admin.get(f"/v1/reconciliations/{decided.json()['reconciliation']}").json()
    assert (shown["reading"], shown["open"]) == ("usage", 0)
    again = admin.post("/v1/reconciliations", json={"invoice": 1, "reads": "statement"})
    assert "already corrected" in again.json()["detail"]


def test_a_doubtful_total_row_is_a_conflict_until_the_caller_decides(admin, metered):
    content = "date,model,amount\n2026-11-03,a,1.11\n2026-11-03,b,2.22\n,Everything,3.33\n"
    refused = send_bill(admin, content)
    assert (refused.status_code, refused.json()["code"]) == (409, "ambiguous_total_rows")
    answer = send_bill(admin, content, total_rows="exclude").json()["invoice"]
    assert [(each["line"], each["amount_nano_usd"]) for each in answer["excluded_rows"]] == [(4, 3_330_000_000)]
    assert send_bill(admin, content, total_rows="perhaps").status_code == 422
    twice = send_bill(admin, "date,amount,amount\n2026-11-03,1.11,1\n")
    assert (twice.status_code, twice.json()["code"]) == (400, "duplicate_column")
