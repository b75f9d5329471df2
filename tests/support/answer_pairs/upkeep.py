"""Verification, retention, migrations, readiness and metrics: operator commands, and probes for machines."""

from support.answer_pairs.pair import Pair

SEED: list[str] = []
PAIRS: list[Pair] = []

_OPERATOR = "the operator's, at the database: it takes minutes, or removes data, and no API key may start it"
WITHOUT_ROUTE = {
    "verify": _OPERATOR,
    "retention list": _OPERATOR,
    "retention export": _OPERATOR,
    "retention drop": _OPERATOR,
    "db upgrade": "the server does not start on a database of another release",
}
WITHOUT_COMMAND = {
    "health": "a probe for load balancers: it is about the server's process",
    "readiness": "a probe for load balancers: it is about the server's process",
    "metrics": "counts of the server's workers, for Prometheus",
}
