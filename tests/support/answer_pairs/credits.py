"""Credits and adjustments."""

from support.answer_pairs.pair import Pair

SEED = [
    "credits grant acme 25 --reference invoice-1 --granted 2026-11-03",
    "credits grant acme 5 --reference promo-1 --kind promotional --scope any_compute --expires 2027-01-01",
    "credits void acme invoice-1 --amount 1 --reason refunded",
    "credits used-elsewhere acme 2026-11 0.5",
    "statements adjust acme 2026-11 3 --reference first --reason agreed",
    "statements adjust acme 2026-12 -1.5 --reference second --reason agreed",
]
PAIRS = [
    Pair("credits show acme 2026-11", "show_credits", "GET /v1/credits?account=acme&month=2026-11"),
    Pair("credits ledger acme", "show_credit_ledger", "GET /v1/credits/ledger?account=acme"),
    Pair("credits balance acme --at 2026-11-05", "show_credit_balance", "GET /v1/credits/balance?account=acme&at=2026-11-05"),
    Pair("credits grant acme 7.5 --kind manual --scope any_compute --reference r --granted 2026-12-01 --expires 2027-01-01",
         "grant_credits", "POST /v1/credits",
         {"account": "acme", "amount_usd": "7.5", "kind": "manual", "scope": "any_compute", "reference": "r",
          "granted_at": "2026-12-01", "expires_at": "2027-01-01"}),
    Pair("credits used-elsewhere acme 2026-11 0.25 --reason Spaces", "note_used_elsewhere", "POST /v1/credits/used-elsewhere",
         {"account": "acme", "month": "2026-11", "amount_usd": "0.25", "reason": "Spaces"}),
    Pair("credits void acme promo-1 --amount 2 --reason refunded", "void_credits", "POST /v1/credits/void",
         {"account": "acme", "reference": "promo-1", "amount_usd": "2", "reason": "refunded"}),
    Pair("statements adjust acme 2026-11 -2 --reference r --reason agreed", "adjust_account", "POST /v1/adjustments",
         {"account": "acme", "month": "2026-11", "amount_usd": "-2", "reference": "r", "reason": "agreed"}),
    Pair("statements adjustments acme", "list_adjustments", "GET /v1/adjustments?account=acme"),
]  # fmt: skip
WITHOUT_ROUTE: dict[str, str] = {}
WITHOUT_COMMAND: dict[str, str] = {}
