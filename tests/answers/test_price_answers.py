"""Imports and syncs of prices: what a command prints with ``--json`` is what its route returns."""

import json
import time

import pytest
from starlette.testclient import TestClient

from metering.api.app import create_api
from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.operations.service.open_service import open_service
from metering.operations.service.settings import read_settings
from metering.outbound.fetch import Clock, FetchLimits, open_fetch
from support.loopback_source import answer, source
from support.request_records import request
from support.router import document

MODEL = "acme/own-model"
SHEET = f"""\
source: our contract
route: any
currency: USD
provider: together
models:
  - model: {MODEL}
    versions:
      - from: 2026-01-01
        usd_per_million: {{input_tokens: 0.0375, output_tokens: 2}}
        source: the contract of 2026
"""
NEXT_SECOND = 1_000_000


class Route:
    """Calls routes of the API on the database of a command line, with its own key."""

    def __init__(self, line, fetch):
        self.line = line
        service = open_service(read_settings(line.environment), lambda: line.now, create=True, fetch=fetch)
        _, token = create_key(service.engine, NewKey("test", ["admin"]), now=line.now)
        self.client = TestClient(create_api(service), headers={"authorization": f"Bearer {token}"})

    def call(self, method, path, **options):
        response = self.client.request(method, path, **options)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def router():
    with source(document()) as serving:
        yield serving


@pytest.fixture
def both(router, new_command_line, tmp_path):
    """A command line, and routes on another database with the same content."""
    lines = []
    for name in ("command", "route"):
        line = new_command_line(tmp_path / name)
        line.environment |= {
            "METERING_ROUTER_URL": router.url,
            "METERING_SYNC_MAX_CHANGED_PERCENT": "100",
            "METERING_SYNC_MAX_VANISHED_PERCENT": "100",
        }
        records = [request(number, model=MODEL, usage={"input_tokens": 1}) for number in range(3)]
        line.done("ingest", line.write_log(records), "--account", "acme")
        lines.append(line)
    command, other = lines
    with open_fetch(FetchLimits(), Clock(time.sleep, time.monotonic)) as fetch:
        yield command, Route(other, fetch)


@pytest.mark.parametrize(("account", "rate"), [(None, True), ("acme", True), (None, False)])
def test_an_import_gives_the_same_answer(both, account, rate):
    command, route = both
    file = command.folder / "prices.yaml"
    file.write_text(SHEET)
    options = [*(["--account", account] if account else []), *([] if rate else ["--no-rate"])]
    parameters = {"rate": rate} | ({"account": account} if account else {})
    printed = command.json("prices", "import", file, *options)
    assert printed.pop("file") == str(file)
    headers = {"content-type": "application/yaml"}
    answered = route.call("POST", "/v1/prices/import", params=parameters, content=SHEET, headers=headers)
    assert answered.pop("file") is None
    assert printed == answered
    assert printed["charged"] == (3 if rate else None)


def test_syncs_give_the_same_answers(both, router):
    command, route = both
    for script in (document(), document(("model-0", "together", 20, 2)), document(), answer(status="403 Forbidden")):
        router.respond(script)
        for line in (command, route.line):
            line.now += NEXT_SECOND
        printed = json.loads(command.run("prices", "sync", "--json"))
        assert printed == route.call("POST", "/v1/prices/sync")
        shown = command.json("prices", "syncs", printed["id"])
        assert shown == route.call("GET", f"/v1/prices/syncs/{shown['id']}")
    assert command.json("prices", "syncs") == route.call("GET", "/v1/prices/syncs")


def test_accepting_a_sync_gives_the_same_answer(both, router):
    command, route = both
    for script in (document(), document(("model-0", "together", 20, 2))):
        router.respond(script)
        command.run("prices", "sync")
        route.call("POST", "/v1/prices/sync")
        for line in (command, route.line):
            line.now += NEXT_SECOND
    accepted = command.json("prices", "accept", "2")
    assert accepted == route.call("POST", "/v1/prices/syncs/2/accept")
    assert (accepted["outcome"], accepted["decides"], accepted["changed"]) == ("accepted", 2, 1)
