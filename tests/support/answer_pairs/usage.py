"""Ingested records, the event log, quarantine and usage of undeclared accounts."""

from support.answer_pairs.pair import Pair
from support.request_records import request

SEED: list[str] = []


def prepare(line) -> None:
    """Ingest usage of an undeclared account, a record that is rejected, and two that contradict one another."""
    log = line.write_log([request(7, account="stranger"), request(8, account="stranger", time="yesterday")], "stranger.ndjson")
    line.run("ingest", log)
    assert line.code == 1
    line.done(
        "ingest", line.write_log([request(50), request(50, provider="groq"), request(51, model="a/model")], "twice.ndjson")
    )
    line.done(
        "usage", "correct", "--account", "acme", "--where", "model=a/model", "--project", "search", "--reason", "r", "--apply"
    )


PAIRS = [
    Pair("accounts unassigned", "list_unassigned", "GET /v1/unassigned"),
    Pair("accounts assign acme --name stranger --from 2026-11-01 --to 2026-12-01", "assign_usage",
         "POST /v1/unassigned/assign",
         {"account": "acme", "name": "stranger", "start": "2026-11-01", "end": "2026-12-01"}),
    Pair("accounts assign acme --name stranger --source stranger.ndjson --apply", "assign_usage",
         "POST /v1/unassigned/assign",
         {"account": "acme", "name": "stranger", "source": "stranger.ndjson", "apply": True}),
    Pair("usage correct --account acme --where route=unknown --provider groq", "correct_usage", "POST /v1/usage/corrections",
         {"account": "acme", "where": {"route": "unknown"}, "provider": "groq"}),
    Pair("usage correct --account acme --provider groq --reason r --apply", "correct_usage", "POST /v1/usage/corrections",
         {"account": "acme", "provider": "groq", "reason": "r", "apply": True}),
    Pair("usage withdraw --account acme --from 2026-11-01 --to 2026-12-01", "withdraw_usage", "POST /v1/usage/withdrawals",
         {"account": "acme", "start": "2026-11-01", "end": "2026-12-01"}),
    Pair("usage runs", "list_corrections", "GET /v1/usage/corrections"),
    Pair("usage runs --resume 1", "resume_correction", "POST /v1/usage/corrections/1/resume"),
    Pair("usage undo 1", "undo_correction", "POST /v1/usage/corrections/1/undo", {}),
    Pair("usage conflicts list", "list_conflicts", "GET /v1/usage/conflicts"),
    Pair("usage conflicts show 1", "show_conflict", "GET /v1/usage/conflicts/1"),
    Pair("usage conflicts accept 1", "accept_conflict", "POST /v1/usage/conflicts/1/accept", {}, fresh=("decided_by",)),
    Pair("usage conflicts dismiss 1", "dismiss_conflict", "POST /v1/usage/conflicts/1/dismiss", {}, fresh=("decided_by",)),
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
