"""One request for every operation of the API, so that a test can make a claim about all of them."""

from typing import Any, NamedTuple


class Call(NamedTuple):
    """A request about an account; ``{}`` in its path, query or body stands for the account's name."""

    operation: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    sheet: str | None = None
    media: str = "application/yaml"


BILL = "request_id,amount_nano_usd\nr1,100\n"
SHEET = """\
source: our contract
route: any
currency: USD
provider: together
models:
  - model: own-model
    versions:
      - from: 2026-11-01
        usd_per_million: {input_tokens: 0.0375}
        source: the contract of 2026
"""
ABOUT_AN_ACCOUNT = [
    Call("ingest_events", "POST", "/v1/events?account={}", {"id": "e1", "time": "2026-11-03T12:00:00Z", "model": "llama"}),
    Call("list_events", "GET", "/v1/events?account={}"),
    Call("explain_event", "GET", "/v1/events/e1?account={}"),
    Call("query_spend", "GET", "/v1/spend?account={}"),
    Call("show_account", "GET", "/v1/accounts/{}"),
    Call("change_account", "PATCH", "/v1/accounts/{}", {"default_route": "routed"}),
    Call("show_plan", "GET", "/v1/accounts/{}/plan"),
    Call("set_plan", "POST", "/v1/accounts/{}/plan", {"plan": "pro"}),
    Call("show_credits", "GET", "/v1/credits?account={}"),
    Call("grant_credits", "POST", "/v1/credits", {"account": "{}", "amount_usd": "1"}),
    Call(
        "note_used_elsewhere",
        "POST",
        "/v1/credits/used-elsewhere",
        {"account": "{}", "month": "2026-11", "amount_usd": "1"},
    ),
    Call("show_credit_ledger", "GET", "/v1/credits/ledger?account={}"),
    Call("show_credit_balance", "GET", "/v1/credits/balance?account={}"),
    Call("void_credits", "POST", "/v1/credits/void", {"account": "{}", "reference": "bought", "reason": "refunded"}),
    Call("list_budgets", "GET", "/v1/budgets?account={}"),
    Call("create_budget", "POST", "/v1/budgets", {"account": "{}", "amount_usd": "10"}),
    Call("import_prices", "POST", "/v1/prices/import?account={}", sheet=SHEET),
    Call(
        "discount_prices",
        "POST",
        "/v1/prices/discounts",
        {"account": "{}", "percent": "12.5", "effective_from": "2026-12-01", "model": "llama"},
    ),
    Call("compare_prices", "GET", "/v1/prices/diff?start=2019-01-01&end=2026-11-01&account={}"),
    Call("explain_price", "GET", "/v1/prices/explain?model=llama&provider=together&account={}"),
    Call("list_alerts", "GET", "/v1/alerts?account={}"),
    Call("create_webhook", "POST", "/v1/webhooks", {"url": "https://hooks.invalid/", "account": "{}"}),
    Call("rerate", "POST", "/v1/prices/rerate", {"account": "{}", "start": "2026-11-01", "end": "2026-12-01"}),
    Call("list_statements", "GET", "/v1/statements?account={}"),
    Call("download_statements", "GET", "/v1/statements/archive?account={}"),
    Call("show_statement", "GET", "/v1/statements/{}/2026-11"),
    Call("download_statement", "GET", "/v1/statements/{}/2026-11.csv"),
    Call("close_statement", "POST", "/v1/statements/{}/2026-10/close"),
    Call("show_statement_changes", "GET", "/v1/statements/{}/2026-10/changes"),
    Call("list_adjustments", "GET", "/v1/adjustments?account={}"),
    Call(
        "adjust_account",
        "POST",
        "/v1/adjustments",
        {"account": "{}", "month": "2026-11", "amount_usd": "-1", "reference": "r", "reason": "agreed"},
    ),
    Call("import_invoice", "POST", "/v1/invoices?account={}&month=2026-11", sheet=BILL, media="text/csv"),
    Call("list_invoices", "GET", "/v1/invoices?account={}"),
    Call("list_reconciliations", "GET", "/v1/reconciliations?account={}"),
    Call("list_unpriced_usage", "GET", "/v1/prices/unpriced?account={}"),
    Call("list_corrections", "GET", "/v1/usage/corrections?account={}"),
    Call("correct_usage", "POST", "/v1/usage/corrections", {"account": "{}", "provider": "together"}),
    Call("withdraw_usage", "POST", "/v1/usage/withdrawals", {"account": "{}", "start": "2026-11-01"}),
    Call("list_conflicts", "GET", "/v1/usage/conflicts?account={}"),
    Call("answer_billing", "POST", "/v1/hf-billing?account={}", {"requestIds": ["r1"]}),
    Call("create_key", "POST", "/v1/keys", {"name": "k", "scopes": ["read"], "account": "{}"}),
]
ABOUT_ALL = [
    Call("list_accounts", "GET", "/v1/accounts"),
    Call("declare_account", "POST", "/v1/accounts", {"name": "{}"}),
    Call("list_unassigned", "GET", "/v1/unassigned"),
    Call("assign_usage", "POST", "/v1/unassigned/assign", {"account": "{}", "name": "stranger"}),
    Call("show_budget", "GET", "/v1/budgets/1"),
    Call("change_budget", "PATCH", "/v1/budgets/1", {"amount_usd": "20"}),
    Call("delete_budget", "DELETE", "/v1/budgets/1"),
    Call("list_prices", "GET", "/v1/prices?limit=5"),
    Call("list_price_history", "GET", "/v1/prices/history?model=llama"),
    Call("list_price_tables", "GET", "/v1/prices/tables"),
    Call("sync_prices", "POST", "/v1/prices/sync"),
    Call("list_price_syncs", "GET", "/v1/prices/syncs"),
    Call("show_price_sync", "GET", "/v1/prices/syncs/1"),
    Call("accept_price_sync", "POST", "/v1/prices/syncs/1/accept"),
    Call("list_webhooks", "GET", "/v1/webhooks"),
    Call("show_webhook", "GET", "/v1/webhooks/1"),
    Call("change_webhook", "PATCH", "/v1/webhooks/1", {"description": "d"}),
    Call("rotate_webhook", "POST", "/v1/webhooks/1/rotate", {}),
    Call("list_deliveries", "GET", "/v1/webhooks/1/deliveries"),
    Call("redeliver", "POST", "/v1/webhooks/1/redeliver", {}),
    Call("test_webhook", "POST", "/v1/webhooks/1/test"),
    Call("delete_webhook", "DELETE", "/v1/webhooks/1"),
    Call("show_alert", "GET", "/v1/alerts/1"),
    Call("list_model_aliases", "GET", "/v1/prices/aliases"),
    Call("add_model_alias", "POST", "/v1/prices/aliases", {"provider": "together", "name": "ours", "model": "llama"}),
    Call("remove_model_alias", "DELETE", "/v1/prices/aliases/1"),
    Call("resume_correction", "POST", "/v1/usage/corrections/1/resume"),
    Call("undo_correction", "POST", "/v1/usage/corrections/1/undo", {}),
    Call("show_conflict", "GET", "/v1/usage/conflicts/1"),
    Call("accept_conflict", "POST", "/v1/usage/conflicts/1/accept", {}),
    Call("dismiss_conflict", "POST", "/v1/usage/conflicts/1/dismiss", {}),
    Call("list_quarantine", "GET", "/v1/quarantine"),
    Call("metrics", "GET", "/metrics"),
    Call("show_invoice", "GET", "/v1/invoices/1"),
    Call("reconcile", "POST", "/v1/reconciliations", {"invoice": 1}),
    Call("show_reconciliation", "GET", "/v1/reconciliations/1"),
    Call("download_reconciliation", "GET", "/v1/reconciliations/1.csv"),
    Call("download_reconciliation_page", "GET", "/v1/reconciliations/1.html"),
    Call("show_variance", "GET", "/v1/reconciliations/1/variances/1"),
    Call("download_evidence", "GET", "/v1/reconciliations/1/variances/1.csv"),
    Call(
        "resolve_variance",
        "POST",
        "/v1/reconciliations/1/variances/1/decisions",
        {"state": "disputed", "reason": "asked them"},
    ),
    Call("list_keys", "GET", "/v1/keys"),
    Call("revoke_key", "DELETE", "/v1/keys/000000000000"),
]
OPEN = [Call("health", "GET", "/healthz"), Call("readiness", "GET", "/readyz")]
WITH_A_KEY = [*ABOUT_AN_ACCOUNT, *ABOUT_ALL]
EVERY_CALL = [*WITH_A_KEY, *OPEN]


# What must be there for every call about an account to be answered: an event, a grant, a month to close.
FIRST = [
    ABOUT_AN_ACCOUNT[0],
    Call("grant_credits", "POST", "/v1/credits", {"account": "{}", "amount_usd": "1", "reference": "bought"}),
    Call(
        "ingest_events",
        "POST",
        "/v1/events?account={}",
        {
            "id": "e0",
            "time": "2026-10-03T12:00:00Z",
            "model": "llama",
            "provider": "together",
            "route": "routed",
            "status": 500,
        },
    ),
    Call("close_statement", "POST", "/v1/statements/{}/2026-10/close"),
]


def send(client, call: Call, account: str = "acme"):
    """Make the request about an account."""
    if call.sheet is not None:
        headers = {"content-type": call.media}
        return client.request(call.method, call.path.format(account), content=call.sheet.encode(), headers=headers)
    body = call.body and {name: account if value == "{}" else value for name, value in call.body.items()}
    return client.request(call.method, call.path.format(account), json=body)
