"""Statements as files over HTTP: formats, names, tags, days, FOCUS, archives, and access by account."""

import csv
import io
import zipfile
from decimal import Decimal

import pytest

from support.native_events import native

URL = "/v1/statements/acme/2026-11"
ARCHIVE = "/v1/statements/archive"
TYPES = {
    "csv": "text/csv; charset=utf-8; header=present",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@pytest.fixture
def month(admin):
    """Three dollars of acme's usage on three days, and one of globex's."""
    million = {"input_tokens": 1_000_000}
    sent = [native(f"d{day}", time=f"2026-11-{day:02}T10:00:00Z", usage=million) for day in (1, 2, 3)]
    sent.append(native("g", account="globex", time="2026-11-04T10:00:00Z", usage=million))
    assert admin.post("/v1/events", json=sent).json()["accepted"] == 4
    return admin


def rows(answer):
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("suffix", TYPES)
def test_each_format_is_downloaded_with_its_name_and_length(month, suffix):
    answer = month.get(f"{URL}.{suffix}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[suffix])
    kind = "inline" if suffix in ("json", "html") else "attachment"
    name = f"statement-acme-2026-11.{suffix}"
    assert answer.headers["content-disposition"] == f"{kind}; filename=\"{name}\"; filename*=UTF-8''{name}"
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("suffix", TYPES)
def test_the_accept_header_gets_the_same_bytes(month, suffix):
    negotiated = month.get(URL, headers={"accept": TYPES[suffix].partition(";")[0]})
    assert negotiated.content == month.get(f"{URL}.{suffix}").content
    assert negotiated.headers["vary"] == "accept"


@pytest.mark.parametrize("suffix", TYPES)
def test_a_client_with_the_current_file_gets_304_until_it_changes(month, suffix):
    tag = month.get(f"{URL}.{suffix}").headers["etag"]
    assert tag.startswith('"')
    for sent in (tag, f'"other", W/{tag}', "*"):
        answer = month.get(f"{URL}.{suffix}", headers={"if-none-match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert month.get(f"{URL}.{suffix}", headers={"if-none-match": '"other"'}).status_code == 200
    month.post("/v1/events", json=native("late", time="2026-11-05T10:00:00Z"))
    changed = month.get(f"{URL}.{suffix}", headers={"if-none-match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)


def test_every_format_has_its_own_tag(month):
    tags = {month.get(f"{URL}.{suffix}").headers["etag"] for suffix in TYPES}
    tags |= {month.get(f"{URL}.csv?profile={profile}").headers["etag"] for profile in ("daily", "focus")}
    assert len(tags) == len(TYPES) + 2


def test_a_page_may_neither_run_nor_load_anything(month):
    assert (
        month.get(f"{URL}.html").headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    )


def test_days_and_focus_rows_are_profiles_of_the_csv(month):
    days = rows(month.get(f"{URL}.csv?profile=daily"))
    assert {row["day"] for row in days} == {"2026-11-01", "2026-11-02", "2026-11-03"}
    assert sum(Decimal(row["amount_usd"] or 0) for row in days) == 3
    focus = month.get(f"{URL}?profile=focus")
    assert focus.headers["content-disposition"].startswith('attachment; filename="focus-acme-2026-11.csv"')
    # $3.00: the free plan includes nothing in November 2026.
    assert sum(Decimal(row["BilledCost"]) for row in rows(focus)) == Decimal(3)
    assert "ProviderName" in rows(focus)[0]
    assert "ServiceProviderName" in rows(month.get(f"{URL}.csv?profile=focus&focus_version=1.3"))[0]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{URL}.pdf?profile=focus", 406, "not_acceptable"),
        (f"{URL}.json?profile=daily", 406, "not_acceptable"),
        (f"{URL}.csv?focus_version=1.3", 422, "unknown_export"),
        (f"{URL}.csv?profile=focus&focus_version=1.1", 422, "invalid_request"),
        (f"{URL}.csv?profile=weekly", 422, "invalid_request"),
        (f"{URL}.docx", 422, "invalid_request"),
        (f"{URL}.csv?format=pdf", 400, "unknown_parameter"),
        (ARCHIVE, 400, "account_required"),
        (f"{ARCHIVE}?account=acme&format=docx", 422, "unknown_export"),
        (f"{ARCHIVE}?account=acme&focus_version=1.3", 422, "unknown_export"),
        (f"{ARCHIVE}?account=nobody", 404, "not_found"),
        (f"{ARCHIVE}?month=2025-01", 404, "not_found"),
        (f"{ARCHIVE}?month=November", 422, "invalid_time"),
    ],
)
def test_a_download_that_does_not_exist_is_a_problem(month, path, status, code):
    answer = month.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_an_export_that_does_not_add_up_is_a_problem_and_no_file(month, api):
    api.meter.execute("UPDATE rollups SET amount_nano = amount_nano + 1")
    for path in (f"{URL}.csv?profile=focus", f"{ARCHIVE}?month=2026-11&format=daily"):
        answer = month.get(path)
        assert (answer.status_code, answer.json()["code"]) == (500, "export_does_not_add_up")


def names_in(answer):
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return archive.namelist()


def test_all_accounts_of_a_month_and_all_months_of_an_account_are_archives(month):
    month.post("/v1/events", json=native("october", time="2026-10-05T10:00:00Z"))
    whole = month.get(f"{ARCHIVE}?month=2026-11&format=csv,pdf&format=focus")
    assert whole.headers["content-disposition"].startswith('attachment; filename="statements-all-accounts-2026-11.zip"')
    assert names_in(whole) == [
        f"{account}/{kind}-{account}-2026-11.{suffix}"
        for account in ("acme", "globex")
        for kind, suffix in (("statement", "csv"), ("statement", "pdf"), ("focus", "csv"))
    ] + ["index.csv"]
    of_acme = month.get(f"{ARCHIVE}?account=acme")
    assert names_in(of_acme) == ["acme/statement-acme-2026-10.csv", "acme/statement-acme-2026-11.csv", "index.csv"]
    again = month.get(f"{ARCHIVE}?account=acme", headers={"if-none-match": of_acme.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_bound_key_archives_only_its_own_account(month, acme):
    assert names_in(acme.get(ARCHIVE)) == ["acme/statement-acme-2026-11.csv", "index.csv"]
    assert names_in(acme.get(f"{ARCHIVE}?month=2026-11")) == ["acme/statement-acme-2026-11.csv", "index.csv"]
    assert acme.get(f"{ARCHIVE}?account=globex").json()["code"] == "not_found"
    for suffix in TYPES:
        assert acme.get(f"/v1/statements/globex/2026-11.{suffix}").status_code == 404


def test_a_tag_of_another_account_reveals_nothing(month, acme):
    tag = month.get("/v1/statements/globex/2026-11.csv").headers["etag"]
    answer = acme.get("/v1/statements/globex/2026-11.csv", headers={"if-none-match": tag})
    assert (answer.status_code, "etag" in answer.headers) == (404, False)


def test_a_real_client_of_a_real_server_gets_the_whole_file(live):
    for number in range(30):
        assert live.post("/v1/events", json=native(f"e{number}", project=f"p{number}")).json()["accepted"] == 1
    answer = live.get(f"{URL}.csv?profile=daily")
    assert len(answer.content) == int(answer.headers["content-length"])
    assert len({row["project"] for row in rows(answer)}) == 30
    assert live.get(f"{URL}.csv?profile=daily", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    head = live.head(f"{URL}.csv?profile=daily")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(answer.content)
    assert live.get(f"{URL}.csv?profile=daily").content == answer.content  # on the same connection


@pytest.mark.parametrize("address", [*(f"{URL}.{suffix}" for suffix in TYPES), URL, f"{ARCHIVE}?account=acme"])
def test_head_gives_the_headers_of_every_download(month, address):
    whole, head = month.get(address), month.head(address)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type", "content-disposition"):
        assert head.headers[name] == whole.headers[name]
    assert head.headers["x-content-type-options"] == "nosniff"
    known = month.head(address, headers={"if-none-match": whole.headers["etag"]})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", whole.headers["etag"])


def test_head_has_the_access_rules_of_get(month, acme):
    assert acme.head("/v1/statements/globex/2026-11.csv").status_code == 404
    assert month.head("/v1/statements/nobody/2026-11.csv").status_code == 404
    assert month.head("/v1/events/x/y", headers={"authorization": ""}).status_code == 401
    assert month.head("/v1/prices/import").status_code == 405
    counted = month.get("/metrics").text
    assert (
        'metering_http_request_seconds_count{method="HEAD",route="/v1/statements/{account}/{month}.{suffix}",status="4xx"}'
        in counted
    )
