"""Ingested records, the event log, quarantine and usage of undeclared accounts."""

from support.answer_pairs.pair import Pair
from support.request_records import request

SEED: list[str] = []


def prepare(line) -> None:
    """Ingest usage of an undeclared account and a record that is rejected."""
    log = line.write_log([request(7, account="stranger"), request(8, account="stranger", time="yesterday")], "stranger.ndjson")
    line.run("ingest", log)
    assert line.code == 1


PAIRS = [
    Pair("accounts unassigned", "list_unassigned", "GET /v1/unassigned"),
    Pair("accounts assign acme --name stranger --from 2026-11-01 --to 2026-12-01", "assign_usage",
         "POST /v1/unassigned/assign",
         {"account": "acme", "name": "stranger", "start": "2026-11-01", "end": "2026-12-01"}),
    Pair("accounts assign acme --name stranger --source stranger.ndjson --apply", "assign_usage",
         "POST /v1/unassigned/assign",
         {"account": "acme", "name": "stranger", "source": "stranger.ndjson", "apply": True}),
    Pair("quarantine list", "list_quarantine", "GET /v1/quarantine"),
]  # fmt: skip
WITHOUT_ROUTE = {
    "ingest": "reads several local files; each entry of `files` is what POST /v1/events answers (test_ingest_answers)",
    "quarantine replay": "reads local files",
}
WITHOUT_COMMAND = {
    "ingest_events": "its answer is an entry of `files` in what `ingest` prints (test_ingest_answers)",
    "list_events": "there is no command that lists events; `explain` shows one with its charge",
}
