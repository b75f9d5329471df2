"""Records of the logs that the command line tests ingest."""

from typing import Any

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"


def request(number: int | str = 1, **fields: Any) -> dict[str, Any]:
    """A native event: 1,000 tokens of Llama 3.3 70B at Together, routed, at $1.04 per million, or $0.00104.

    Fields that are None are removed.
    """
    usual = {
        "id": f"request-{number}",
        "time": "2026-11-03T10:15:00Z",
        "account": "acme",
        "provider": "together",
        "model": LLAMA,
        "route": "routed",
        "status": 200,
        "usage": {"input_tokens": 800, "output_tokens": 200},
    }
    return {name: value for name, value in (usual | fields).items() if value is not None}
