"""Invoices, reconciliations and variances."""

from support.answer_pairs.pair import Pair

SEED = ["reconcile import --total 9 --account acme --month 2026-11 --run"]
PAIRS = [
    Pair("reconcile import --total 770 --account acme --month 2026-10", "import_invoice",
         "POST /v1/invoices?account=acme&month=2026-10", 770),
    Pair("reconcile import --total 9 --account acme --month 2026-11", "import_invoice",
         "POST /v1/invoices?account=acme&month=2026-11", 9),
    Pair("reconcile show", "list_invoices", "GET /v1/invoices"),
    Pair("reconcile show --account acme", "list_invoices", "GET /v1/invoices?account=acme"),
    Pair("reconcile run 1 --tolerance 0", "reconcile", "POST /v1/reconciliations", {"invoice": 1, "tolerance_usd": "0"}),
    Pair("reconcile run 1", "reconcile", "POST /v1/reconciliations", {"invoice": 1}),
    Pair("reconcile run 1 --reads statement", "reconcile", "POST /v1/reconciliations", {"invoice": 1, "reads": "statement"}),
    Pair("reconcile show 1", "show_reconciliation", "GET /v1/reconciliations/1"),
    Pair("reconcile explain 1", "show_variance", "GET /v1/reconciliations/1/variances/1"),
    Pair("reconcile explain 1 --limit 0", "show_variance", "GET /v1/reconciliations/1/variances/1?evidence=0"),
    Pair("reconcile resolve 1 --as disputed --who ada --reason ticket", "resolve_variance",
         "POST /v1/reconciliations/1/variances/1/decisions", {"state": "disputed", "who": "ada", "reason": "ticket"}),
]  # fmt: skip
WITHOUT_ROUTE = {
    "reconcile fetch": "asks Hugging Face with the token of the environment; it answers as `reconcile import` does",
}
WITHOUT_COMMAND = {
    "show_invoice": "`reconcile show` lists all invoices in full",
    "list_reconciliations": "`reconcile show` shows each invoice with its newest run, and `reconcile show RUN` any run",
    "download_reconciliation": "`reconcile export` writes the same file",
    "download_reconciliation_page": "`reconcile export` writes the same file",
    "download_evidence": "`reconcile export --variance` writes the same file",
    "answer_billing": "Hugging Face calls it; a partner has no use for it on the command line",
}
