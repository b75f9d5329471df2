"""Statements and closing months."""

from support.answer_pairs.pair import Pair

SEED = [
    "accounts create closing --route routed",
    "accounts set-plan closing pro --from 2026-09-10",
    "statements close closing 2026-09",
    "statements adjust closing 2026-09 -4 --reference late --reason agreed",
]
PAIRS = [
    Pair("statements list", "list_statements", "GET /v1/statements"),
    Pair("statements list --account acme", "list_statements", "GET /v1/statements?account=acme"),
    Pair("statements list --status closed", "list_statements", "GET /v1/statements?status=closed"),
    Pair("statements show acme 2026-11", "show_statement", "GET /v1/statements/acme/2026-11"),
    Pair("statements show closing 2026-09", "show_statement", "GET /v1/statements/closing/2026-09"),
    Pair("statements close closing 2026-11 --with-earlier", "close_statement",
         "POST /v1/statements/closing/2026-11/close?with_earlier=true"),
    Pair("statements reopen-check closing 2026-09", "show_statement_changes", "GET /v1/statements/closing/2026-09/changes"),
]  # fmt: skip
WITHOUT_ROUTE: dict[str, str] = {}
WITHOUT_COMMAND = {
    "download_statement": "answers a file; `statements export` writes it",
    "download_statements": "answers an archive; `statements export --all` writes it",
}
# `statements close --all` has no route: `serve` closes what is due.
