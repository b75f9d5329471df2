"""Program for the test of new kinds: meters requests with ``video_tokens``, a kind that only the test adds.

``python use_video_tokens.py URL FOLDER`` prints, as JSON, where the quantity shows up.
"""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from metering.api.app import create_api
from metering.domain.instants import parse_instant
from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.operations.service.open_service import open_service
from metering.operations.service.settings import read_settings
from support.command_line import CommandLine
from support.compiled_statements import share_compiled_statements
from support.request_records import request

SHEET = """
source: contract
route: routed
currency: USD
provider: together
models:
  - model: film
    versions:
      - from: "{since}"
        usd_per_million: {{input_tokens: 1, video_tokens: {price}}}
        source: the contract
"""


def film(number: int) -> dict[str, Any]:
    return request(number, model="film", usage={"input_tokens": 10, "video_tokens": 1_000})


def import_prices(line: CommandLine, since: str, price: int) -> None:
    sheet = line.folder / f"prices-{price}.yaml"
    sheet.write_text(SHEET.format(since=since, price=price))
    line.done("prices", "import", sheet)


def rows(text: str, **wanted: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file that have the given values."""
    return [row for row in csv.DictReader(io.StringIO(text)) if wanted.items() <= row.items()]


def send(line: CommandLine, event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Send an event to the API; return the response, the listed event, and the kinds that the API documents."""
    service = open_service(read_settings(line.environment), lambda: line.now, create=False)
    app = create_api(service)
    _, token = create_key(service.engine, NewKey("test", ["admin"]), now=line.now)
    client = TestClient(app, headers={"authorization": f"Bearer {token}"})
    answer = client.post("/v1/events", json=event).json()
    period = {"account": "acme", "start": "2026-11-01", "end": "2026-12-01"}
    (shown,) = (each for each in client.get("/v1/events", params=period).json()["items"] if each["id"] == event["id"])
    documented = client.get("/openapi.json").json()["components"]["schemas"]["Usage"]["properties"]
    app.state.intake.close()
    service.engine.dispose()
    return answer, shown, list(documented)


def meter(line: CommandLine) -> dict[str, Any]:
    """Ingest, send, explain and re-rate; return the responses of the API and the explained multiplications."""
    line.done("accounts", "create", "acme")
    import_prices(line, "2026-01-01", 5)
    # Twice, so that the second is added to the sums of the first.
    line.done("ingest", line.write_log([film(1)], "first.ndjson"), "--source", "log")
    line.done("ingest", line.write_log([film(2)], "second.ndjson"), "--source", "log")
    answer, shown, documented = send(line, film(3))
    explained = line.json("explain", "request-1", "--account", "acme")
    import_prices(line, "2026-01-02", 2)
    line.done("rerate", "--from", "2026-11-01", "--to", "2026-12-01", "--reason", "a lower price", "--apply")
    return {
        "accepted": answer["accepted"],
        "shown": shown["quantities"],
        "documented": "video_tokens" in documented,
        "explained": explained["multiplications"],
    }


def look_up(line: CommandLine) -> dict[str, Any]:
    """Return the results of spend, the statement and verify."""
    november = ("spend", "--account", "acme", "--month", "2026-11")
    spend = line.json(*november, "--by", "model")["total"]
    return {
        "spend": spend["quantities"],
        "amount": spend["amount_nano_usd"],
        "table": "3,030" in line.done(*november, "--by", "model"),
        "by hour": line.json(*november, "--granularity", "hour")["total"]["quantities"],
        "statement": [
            (each["quantity_kind"], each["quantity"], each["unit"], each["amount_usd"])
            for each in line.json("statements", "show", "acme", "2026-11")["lines"]
            if each["kind"] == "usage"
        ],
        "verified": line.json("verify")["violations"],
    }


def export(line: CommandLine) -> dict[str, Any]:
    """Return the new kind's rows in each export of the closed month."""
    line.now = parse_instant("2027-02-05T12:00:00Z")
    line.done("statements", "close", "acme", "2026-11")
    month = ("statements", "export", "acme", "2026-11")
    csv_file, daily, focus = (line.done(*month, "--format", name) for name in ("csv", "daily", "focus"))
    return {
        "csv": [row["quantity"] for row in rows(csv_file, quantity_kind="video_tokens")],
        "daily": [row["quantity"] for row in rows(daily, quantity_kind="video_tokens")],
        "focus": [
            (row["ConsumedQuantity"], row["ConsumedUnit"], row["SkuMeter"])
            for row in rows(focus, x_QuantityKind="video_tokens")
        ],
    }


def retire(line: CommandLine) -> dict[str, Any]:
    """Retire the month; return the results of spend and verify."""
    line.done("retention", "drop", "2026-11", "--without-export", "--yes")
    spend = line.json("spend", "--account", "acme", "--month", "2026-11")["total"]
    return {"retired": spend["quantities"], "verified after": line.json("verify")["violations"]}


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    share_compiled_statements()
    line = CommandLine(folder)
    line.environment = {"METERING_DATABASE_URL": url}
    sys.stdout.write(json.dumps(meter(line) | look_up(line) | export(line) | retire(line)))


if __name__ == "__main__":
    main()
