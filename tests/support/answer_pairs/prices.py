"""Prices: lists, tables, history, changes, explanations, discounts, syncs."""

from support.answer_pairs.pair import Pair

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
OTHER_TEST = "compared in tests/answers/test_price_answers.py, which has a router and files"

SEED = [
    f"prices discount --account acme --percent 10 --from 2026-12-01 --provider together --model {LLAMA}",
    f"prices alias add acme/our-llama {LLAMA} --provider together --until 2027-01-01",
]
PAIRS = [
    Pair("prices list --provider together --model llama-3.3", "list_prices",
         "GET /v1/prices?provider=together&model=llama-3.3"),
    Pair("prices list --source hf_router --model llama --at 2026-10-18 --known-at 2026-12-05T12:00:00Z", "list_prices",
         "GET /v1/prices?source=hf_router&model=llama&at=2026-10-18&known_at=2026-12-05T12:00:00Z"),
    Pair("prices tables", "list_price_tables", "GET /v1/prices/tables"),
    Pair(f"prices show {LLAMA} --provider together", "list_price_history",
         f"GET /v1/prices/history?model={LLAMA}&provider=together"),
    Pair(f"prices history {LLAMA}-Turbo --source hf_router --known-at 2026-12-06", "list_price_history",
         f"GET /v1/prices/history?model={LLAMA}-Turbo&source=hf_router&known_at=2026-12-06"),
    Pair("prices diff --start 2026-10-18 --end 2026-10-20 --provider together", "compare_prices",
         "GET /v1/prices/diff?start=2026-10-18&end=2026-10-20&provider=together"),
    Pair("prices diff --from 2026-11-30 --to 2026-12-02 --account acme", "compare_prices",
         "GET /v1/prices/diff?start=2026-11-30&end=2026-12-02&account=acme"),
    Pair(f"prices explain {LLAMA}-Turbo:fastest --provider together_ai --account acme --route routed --at 2026-12-03",
         "explain_price",
         f"GET /v1/prices/explain?model={LLAMA}-Turbo:fastest&provider=together_ai&account=acme&route=routed&at=2026-12-03"),
    Pair("prices explain no/such-model --context-tokens 9", "explain_price",
         "GET /v1/prices/explain?model=no/such-model&context_tokens=9"),
    Pair(f"prices discount --account acme --percent 12.50 --from 2026-12-02 --provider together_ai --model {LLAMA}",
         "discount_prices", "POST /v1/prices/discounts",
         {"account": "acme", "percent": "12.50", "effective_from": "2026-12-02", "provider": "together_ai", "model": LLAMA}),
    Pair("prices alias add acme/own-llama meta-llama/Llama-3.3-70B-Instruct --provider together_ai --from 2026-11-01",
         "add_model_alias", "POST /v1/prices/aliases",
         {"provider": "together_ai", "name": "acme/own-llama", "model": LLAMA, "valid_from": "2026-11-01"}),
    Pair("prices alias list", "list_model_aliases", "GET /v1/prices/aliases"),
    Pair("prices alias list --all", "list_model_aliases", "GET /v1/prices/aliases?removed=true"),
    Pair("prices alias remove 1", "remove_model_alias", "DELETE /v1/prices/aliases/1"),
    Pair("prices unpriced", "list_unpriced_usage", "GET /v1/prices/unpriced"),
    Pair("prices unpriced --account acme", "list_unpriced_usage", "GET /v1/prices/unpriced?account=acme"),
    Pair("prices syncs", "list_price_syncs", "GET /v1/prices/syncs"),
]  # fmt: skip
WITHOUT_ROUTE = {
    "prices import": OTHER_TEST,
    "prices sync": OTHER_TEST,
    "prices accept": OTHER_TEST,
}
WITHOUT_COMMAND = {
    "import_prices": OTHER_TEST,
    "sync_prices": OTHER_TEST,
    "accept_price_sync": OTHER_TEST,
    "show_price_sync": OTHER_TEST,
}
