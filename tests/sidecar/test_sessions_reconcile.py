"""Hugging Face's cost per session against ours: requests through a sidecar that names sessions, then the bill by session.

The upstream stands for the router: it keeps what it would bill under the session of each request. An input token costs 1,000
nano-USD, an output token 2,000.
"""

import json
from collections import Counter

import pytest

from metering.domain.instants import month_of, month_start, next_month
from support.bills import reconciled, steps
from support.builders import DAY, price_table, rate
from support.canned_answers import MODEL, chat
from support.meter import Meter
from support.upstream_server import json_answer

# Prompt and completion tokens, and what a request with them costs: 10,000 x 1,000 + 500 x 2,000 nano-USD, and so on.
TOKENS = {"search": (10_000, 500), "chat": (5_000, 1_000), "": (1_000, 100)}
COST_NANO = {"search": 11_000_000, "chat": 7_000_000, "": 1_200_000}
NANO_PER_CENT = 10_000_000


class Router:
    """Answers requests, and bills each under the session that it states."""

    def __init__(self):
        self.requests: Counter[str] = Counter()

    def respond(self, asked):
        project = asked.document["messages"][0]["content"]
        prompt, completion = TOKENS[project]
        self.requests[asked.header("x-hf-session-id") or ""] += 1
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return json_answer(chat(usage=usage), headers=(("x-inference-provider", "together"),))

    def bill(self, month, cost_nano) -> bytes:
        """Return ``usage-by-inference-session`` of the month; a request without a session is in none."""
        sessions = [
            {"id": name, "requestCount": count, "costCents": count * cost_nano[name] / NANO_PER_CENT}
            for name, count in self.requests.items()
            if name
        ]
        return json.dumps({"currency": "USD", "periods": [{"sessions": sessions}]}).encode()


@pytest.fixture
def router(upstream):
    """An upstream that bills by session."""
    router = Router()
    upstream.respond = router.respond
    return router


def ask(sidecar, project, **headers):
    labels = {"x-metering-project": project} if project else {}
    body = {"model": MODEL, "messages": [{"role": "user", "content": project}]}
    with sidecar.client() as client:
        answer = client.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer hf_1", **labels, **headers})
    assert answer.status_code == 200


@pytest.fixture
def metered_by_project(router, module_upstream, start_sidecar, new_database):
    """Three requests of ``search`` and two of ``chat``, and the meter that has them."""
    url = new_database()
    meter = Meter(url)
    meter.record_prices(price_table(rate(model=MODEL, provider="together")))
    sidecar = start_sidecar(module_upstream.url, "--session-per", "project", url=url)
    for project in ("search", "chat", "search", "chat", "search"):
        ask(sidecar, project)
    month = month_of(sidecar.events(5)[0].position.event_time)
    yield meter, month
    sidecar.clear_away()
    meter.engine.dispose()


def reconciled_sessions(meter, month, bill):
    start, end = month_start(month), month_start(next_month(month))
    return reconciled(meter, bill, start=start, end=end, now=end + DAY)


def test_sessions_are_the_projects_and_both_sides_agree_session_by_session(router, metered_by_project):
    meter, month = metered_by_project
    assert router.requests == {"search": 3, "chat": 2}
    report = reconciled_sessions(meter, month, router.bill(month, COST_NANO))
    assert (report.bridge.ours_nano, report.bridge.theirs_nano) == (47_000_000, 47_000_000)
    assert report.variances == ()
    assert steps(report) == {}


def test_a_difference_is_found_in_the_session_that_has_it(router, metered_by_project):
    meter, month = metered_by_project
    report = reconciled_sessions(meter, month, router.bill(month, COST_NANO | {"chat": 9_345_678}))
    assert {(each.session, each.amount_nano) for each in report.variances} == {("chat", 4_691_356)}


def test_a_session_that_the_client_states_is_kept_and_one_of_unlabeled_requests_is_not_made_up(
    router, module_upstream, start_sidecar
):
    sidecar = start_sidecar(module_upstream.url, "--session-per", "project")
    ask(sidecar, "search", **{"x-hf-session-id": "run-7"})
    ask(sidecar, "")
    assert router.requests == {"run-7": 1, "": 1}
    tags = [each.tags for each in sorted(sidecar.events(2), key=lambda each: each.project)]
    assert tags == [{}, {"session": "run-7"}]
