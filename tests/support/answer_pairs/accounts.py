"""Accounts, plans and API keys."""

from support.answer_pairs.pair import Pair

SEED = [
    "accounts create globex --route provider_key",
    "accounts set-plan globex team --seats 3 --from 2026-10-15",
    "keys create --name gateway --account acme --scope ingest",
]
PAIRS = [
    Pair("accounts list", "list_accounts", "GET /v1/accounts"),
    Pair("accounts show globex", "show_account", "GET /v1/accounts/globex"),
    Pair("accounts create initech --route routed", "declare_account", "POST /v1/accounts",
         {"name": "initech", "default_route": "routed"}),
    Pair("accounts create hooli --plan pro", "declare_account", "POST /v1/accounts", {"name": "hooli", "plan": "pro"}),
    Pair("accounts rename globex globex-labs", "change_account", "PATCH /v1/accounts/globex", {"name": "globex-labs"}),
    Pair("accounts set-route globex routed", "change_account", "PATCH /v1/accounts/globex", {"default_route": "routed"}),
    Pair("accounts plan globex --month 2026-11", "show_plan", "GET /v1/accounts/globex/plan?month=2026-11"),
    Pair("accounts set-plan acme enterprise --seats 4 --from 2026-12-05", "set_plan", "POST /v1/accounts/acme/plan",
         {"plan": "enterprise", "seats": 4, "effective": "2026-12-05"}),
    Pair("keys list", "list_keys", "GET /v1/keys", fresh=("prefix",)),
    Pair("keys create --name k --scope ingest,read,metrics,billing,admin", "create_key", "POST /v1/keys",
         {"name": "k", "scopes": ["ingest", "read", "metrics", "billing", "admin"]}, fresh=("prefix", "token")),
]  # fmt: skip
WITHOUT_ROUTE = {"keys revoke": "DELETE /v1/keys/{prefix} answers 204; the command shows the revoked key"}
WITHOUT_COMMAND = {"revoke_key": "answers 204"}
