"""Requests of the worked examples: Llama-3-70B, routed to Together at $0.90 per million tokens."""

LLAMA_3 = "meta-llama/Llama-3-70b-chat-hf"


def request(number, time, **usage):
    return {
        "id": f"req-{number}",
        "time": time,
        "model": LLAMA_3,
        "provider": "together",
        "route": "routed",
        "status": 200,
        "usage": usage,
    }


def a_million_tokens_a_day(month):
    return [request(day, f"{month}-{day:02d}T10:00:00Z", input_tokens=1_000_000) for day in range(1, 31)]


def amounts(statement):
    return [(line["kind"], line["amount_usd"]) for line in statement["lines"]]
