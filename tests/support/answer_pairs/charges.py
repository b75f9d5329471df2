"""Spend, explanations of charges, rating and re-rating."""

from support.answer_pairs.pair import Pair
from support.request_records import request

SEED: list[str] = []
_SHEET = """
source: our contract
route: any
currency: USD
provider: together
models:
  - model: acme/own-model
    versions:
      - from: "{since}"
        usd_per_million: {{input_tokens: {price}, output_tokens: 2}}
        source: the contract
"""
_NOVEMBER = "--start 2026-11-01 --end 2026-12-01"
_PERIOD = {"start": "2026-11-01", "end": "2026-12-01"}
_SPEND = "GET /v1/spend?start=2026-11-01&end=2026-12-01"


def prepare(line) -> None:
    """Correct the price of a model after its requests were charged, and ingest a failed and an unpriced request."""
    sheet = line.folder / "contract.yaml"
    for since, price in (("2026-01-01", 2), ("2026-02-01", 3)):
        sheet.write_text(_SHEET.format(since=since, price=price))
        line.done("prices", "import", sheet)
        if price == 2:
            records = [request(20, model="acme/own-model"), request(21, status=503), request(22, model="no/price")]
            line.done("ingest", line.write_log(records, "charges.ndjson"), "--account", "acme")


PAIRS = [
    Pair(f"spend --account acme {_NOVEMBER}", "query_spend", f"{_SPEND}&account=acme&group_by=provider,model"),
    Pair(f"spend {_NOVEMBER} --by account,rate --granularity day --filter route=routed", "query_spend",
         f"{_SPEND}&group_by=account,rate&granularity=day&route=routed"),
    Pair("spend --month 2026-11 --by none --period-basis billing", "query_spend", f"{_SPEND}&period_basis=billing"),
    Pair("spend --month 2026-11 --by provider,model --sort requests", "query_spend",
         "GET /v1/spend?month=2026-11&group_by=provider,model&sort=requests"),
    Pair("spend --month 2026-11 --by model --granularity hour --top 1", "query_spend",
         "GET /v1/spend?month=2026-11&group_by=model&granularity=hour&top=1"),
    Pair("spend --today --by none", "query_spend", "GET /v1/spend?start=2026-12-05&end=2026-12-06"),
    Pair("explain request-0 --account acme", "explain_event", "GET /v1/events/request-0?account=acme"),
    Pair("explain request-22 --account acme --source charges.ndjson", "explain_event",
         "GET /v1/events/request-22?account=acme&source=charges.ndjson"),
    Pair(f"rerate {_NOVEMBER} --account acme", "rerate", "POST /v1/prices/rerate", {"account": "acme", **_PERIOD}),
    Pair("rerate --from 2026-11-01 --to 2026-12-01 --model acme/own-model --apply --reason corrected", "rerate",
         "POST /v1/prices/rerate",
         {**_PERIOD, "model": "acme/own-model", "apply": True, "reason": "corrected"}),
]  # fmt: skip
WITHOUT_ROUTE = {
    "rate": "the API charges unpriced usage when prices are imported or a sync is accepted; there is no route for it alone"
}
WITHOUT_COMMAND: dict[str, str] = {}
