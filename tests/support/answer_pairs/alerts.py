"""Budgets, alerts and webhooks."""

from support.answer_pairs.pair import Pair

URL = "https://93.184.215.14/hooks"

# The third budget has reached its thresholds, so that there are alerts and deliveries.
SEED = [
    f"webhooks create {URL} --description on-call",
    f"webhooks create {URL}/slack --format slack --type price.changed --only-account acme",
    "webhooks change 2 --disable",
    "budgets create acme 500 --name 'all models' --forecast 110 --action block --block-at 120",
    "budgets create acme 0.000001 --window day --scope project=search --scope model=lama --scope model=m",
    "budgets create acme 0.000001 --window fixed --start 2026-11-01 --end 2026-12-01",
    "budgets change 1 --amount 600 --no-forecast",
]
PAIRS = [
    Pair("budgets list", "list_budgets", "GET /v1/budgets"),
    Pair("budgets list --account globex", "list_budgets", "GET /v1/budgets?account=globex"),
    Pair("budgets show 1", "show_budget", "GET /v1/budgets/1"),
    Pair("budgets show 3", "show_budget", "GET /v1/budgets/3"),
    Pair("budgets show 1 --on 2026-11-24", "show_budget", "GET /v1/budgets/1?on=2026-11-24"),
    Pair("budgets create acme 25 --window fixed --from 2026-11-03 --to 2026-11-20 --scope tag:team=core --threshold 90,100",
         "create_budget", "POST /v1/budgets",
         {"account": "acme", "amount_usd": "25", "window": "fixed", "start": "2026-11-03", "end": "2026-11-20",
          "scope": {"tag:team": ["core"]}, "thresholds": [90, 100]}),
    Pair("budgets change 1 --amount 10 --action notify --name search", "change_budget", "PATCH /v1/budgets/1",
         {"amount_usd": "10", "action": "notify", "name": "search"}),
    Pair("budgets create acme 500 --forecast 110% --action block --block-at 120% --threshold 50,80%,100 --name twice",
         "create_budget", "POST /v1/budgets",
         {"account": "acme", "amount_usd": "500", "forecast_percent": 110, "action": "block", "block_percent": 120,
          "name": "twice"}),
    Pair("alerts list", "list_alerts", "GET /v1/alerts"),
    Pair("alerts list --account acme --type budget.threshold_reached", "list_alerts",
         "GET /v1/alerts?account=acme&type=budget.threshold_reached"),
    Pair("alerts show 1", "show_alert", "GET /v1/alerts/1"),
    Pair("webhooks list", "list_webhooks", "GET /v1/webhooks"),
    Pair("webhooks show 2", "show_webhook", "GET /v1/webhooks/2"),
    Pair(f"webhooks create {URL}/acme --account acme --type budget.blocked,credits.low", "create_webhook", "POST /v1/webhooks",
         {"url": f"{URL}/acme", "account": "acme", "types": ["budget.blocked", "credits.low"]}, fresh=("secret",)),
    Pair("webhooks change 2 --enable --all-types --all-accounts --description chat", "change_webhook", "PATCH /v1/webhooks/2",
         {"enabled": True, "types": [], "accounts": [], "description": "chat"}),
    Pair("webhooks rotate 1 --overlap 2", "rotate_webhook", "POST /v1/webhooks/1/rotate", {"overlap_hours": 2},
         fresh=("secret",)),
    Pair("webhooks deliveries 1", "list_deliveries", "GET /v1/webhooks/1/deliveries"),
    Pair("webhooks deliveries 1 --status pending,failed --type budget.threshold_reached --from 2026-12-05 --to 2026-12-06",
         "list_deliveries",
         "GET /v1/webhooks/1/deliveries?status=pending&status=failed&type=budget.threshold_reached"
         "&start=2026-12-05&end=2026-12-06"),
    Pair("webhooks redeliver 1 1", "redeliver", "POST /v1/webhooks/1/redeliver", {"delivery": 1}),
    Pair("webhooks redeliver 1 --status failed --start 2026-12-01", "redeliver", "POST /v1/webhooks/1/redeliver",
         {"status": ["failed"], "start": "2026-12-01"}),
]  # fmt: skip
WITHOUT_ROUTE = {
    "budgets delete": "DELETE /v1/budgets/{budget} answers 204; the command confirms the id",
    "webhooks delete": "DELETE /v1/webhooks/{webhook} answers 204; the command confirms the id",
    "webhooks test": "the command sends the test itself and shows the attempt; POST .../test only queues it, without attempts",
}
WITHOUT_COMMAND = {
    "delete_budget": "answers 204",
    "delete_webhook": "answers 204",
    "test_webhook": "only queues the test; the command sends it itself",
}
