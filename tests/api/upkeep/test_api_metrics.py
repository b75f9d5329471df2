"""``/metrics`` over real HTTP, read with Prometheus' own parser."""

import re
import threading

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from metering.api.app import create_api
from metering.runtime.metrics import Metrics
from metering.runtime.scheduler import Job, Scheduler
from metering.storage.engine.database import open_database
from support.native_events import native
from support.places import ROOT
from support.serving_process import samples_of


def scrape(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples_of(answer.text)


def test_events_are_counted_by_outcome(live):
    sent = [native("a"), native("b"), native("b"), native("c", time="never"), native("d", model="nobody/knows")]
    assert live.post("/v1/events", json=sent).json()["accepted"] == 3
    live.post("/v1/events?source=gateway-2", json=native("e"))
    samples = scrape(live)
    found = {dict(labels)["outcome"]: value for (name, *labels), value in samples.items() if name == "metering_events_total"}
    assert found == {"accepted": 4, "duplicate": 1, "copy": 0, "completed": 0, "conflict": 0, "rejected": 1}
    assert samples["metering_events_unpriced_total",] == samples["metering_unpriced_events",] == 1
    assert samples["metering_commit_events_sum",] == 6
    assert samples["metering_commit_events_count",] == samples["metering_commit_seconds_count",] == 2
    assert (samples["metering_commit_failures_total",], samples["metering_waiting_events",]) == (0, 0)


def test_requests_are_counted_by_route_never_by_path(live):
    live.get("/v1/accounts/acme")
    live.get("/v1/accounts/nobody")
    live.get("/v1/accounts/somebody-else")
    live.post("/v1/events", json=native())
    live.post("/v1/events?source=x", json=native())
    live.post("/v1/events", content=b"{", headers={"content-type": "application/json"})
    live.get("/v1/secret-name")
    live.request("PROPFIND", "/v1/accounts")
    samples = scrape(live)
    found = {
        tuple(dict(labels)[name] for name in ("route", "method", "status")): value
        for (name, *labels), value in samples.items()
        if name == "metering_http_request_seconds_count"
    }
    assert found == {
        ("/v1/accounts/{account}", "GET", "2xx"): 1,
        ("/v1/accounts/{account}", "GET", "4xx"): 2,
        ("/v1/events", "POST", "2xx"): 2,
        ("/v1/events", "POST", "4xx"): 1,
        ("(none)", "GET", "4xx"): 1,
        ("/v1/accounts", "other", "4xx"): 1,
    }


def test_metrics_name_no_account_key_or_event(live, api):
    live.post("/v1/events", json=[native("very-own-id", project="very-own-project", key="very-own-key")])
    live.get("/v1/spend?account=acme")
    text = live.get("/metrics").text
    for secret in ("acme", "globex", "very-own", "llama", "together", "hfm_"):
        assert secret not in text, secret


def test_metrics_need_a_key_with_their_scope(api, acme):
    assert api.client().get("/metrics").status_code == 401
    assert api.client("read").get("/metrics").status_code == 403
    assert (acme.get("/metrics").status_code, acme.get("/metrics").json()["code"]) == (403, "bound_key")
    scraper = api.client("metrics")
    assert scraper.get("/metrics").status_code == 200
    assert {scraper.get(path).status_code for path in ("/v1/accounts", "/v1/spend?account=acme", "/v1/keys")} == {403}


def test_an_operator_can_open_metrics_to_everyone(api, serve):
    settings = msgspec.structs.replace(api.service.settings, open_metrics=True)
    service = msgspec.structs.replace(api.service, settings=settings)
    with serve(create_api(service)) as address:
        assert httpx.get(f"{address}/metrics", verify=False).status_code == 200
        assert httpx.get(f"{address}/v1/accounts", verify=False).status_code == 401


def test_requests_refused_as_too_busy_are_counted(api, live, monkeypatch):
    monkeypatch.setattr(api.app.state.intake._writer, "_max_events", 0)
    monkeypatch.setattr(api.app.state.intake._writer, "_queue", [object()])
    assert live.post("/v1/events", json=native()).status_code == 429
    assert scrape(live)["metering_refused_requests_total",] == 1


def test_price_sync_and_release_are_reported(live, api):
    samples = scrape(live)
    (build,) = [dict(labels) for (name, *labels) in samples if name == "metering_build_info"]
    assert build["database"] == api.meter.engine.dialect.name
    assert samples["metering_database_up",] == 1
    assert samples["metering_price_sync_consecutive_failures",] == samples["metering_price_sync_held",] == 0
    assert ("metering_price_sync_last_success_timestamp_seconds",) not in samples


def test_an_unreachable_database_is_reported_without_failing_the_scrape(api, serve):
    service = msgspec.structs.replace(
        api.service, settings=msgspec.structs.replace(api.service.settings, open_metrics=True), engine=unreachable()
    )
    with serve(create_api(service)) as address:
        samples = samples_of(httpx.get(f"{address}/metrics", timeout=20, verify=False).text)
    assert samples["metering_database_up",] == 0
    assert ("metering_unpriced_events",) not in samples


def unreachable():
    return open_database("postgresql://nobody@127.0.0.1:9/none")


def test_jobs_and_their_leader_are_counted(api, serve):
    counted = Metrics()
    calls = threading.Semaphore(0)

    def fail():
        calls.release()
        raise RuntimeError("what it met")

    scheduler = Scheduler([Job("good", calls.release), Job("bad", fail)], AlwaysLeads(), counted, tick_seconds=3600)
    headers = {"authorization": f"Bearer {api.token('metrics')}"}
    with serve(create_api(api.service, metrics=counted)) as address:
        scheduler.start()
        assert all(calls.acquire(timeout=20) for _ in range(2))
        leading = httpx.get(f"{address}/metrics", headers=headers, verify=False).text
        scheduler.stop()
        samples = samples_of(httpx.get(f"{address}/metrics", headers=headers, verify=False).text)
    assert samples_of(leading)["metering_leader",] == 1
    assert samples["metering_leader",] == 0
    assert samples["metering_job_runs_total", ("job", "good"), ("outcome", "done")] == 1
    assert samples["metering_job_runs_total", ("job", "bad"), ("outcome", "failed")] == 1
    assert samples["metering_job_last_success_timestamp_seconds", ("job", "good")] > 1_700_000_000
    assert ("metering_job_last_success_timestamp_seconds", ("job", "bad")) not in samples


class AlwaysLeads:
    def is_leader(self) -> bool:
        return True

    def release(self) -> None:
        pass


def test_a_scraper_that_accepts_openmetrics_gets_it(live):
    answer = live.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_the_reference_names_every_metric_and_no_other(live):
    live.post("/v1/events", json=native())
    kinds = {family.name: family.type for family in text_string_to_metric_families(live.get("/metrics").text)}
    shown = {f"{name}_total" if kind == "counter" else name: kind for name, kind in kinds.items()}
    shown["metering_price_sync_last_success_timestamp_seconds"] = "gauge"
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(metering_\w+)(?:\{[\w,]+\})?` \| (\w+) \| .+ \|$", page, re.MULTILINE)
    assert dict(rows) == shown
