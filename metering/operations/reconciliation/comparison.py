"""The result of comparing an invoice with metered usage, at any grain."""

from msgspec import Struct

from metering.domain.reconciliation.findings import Findings


class Comparison(Struct):
    """``findings`` lead from ``ours_nano`` to ``theirs_nano``, in nano-USD.

    ``usage_nano`` is the sum of the usage lines, ``matched_nano`` how much of it was found in metered usage. ``valued``: the
    lines state no amounts, and these are the billed quantities at our prices. ``statement_nano`` is the total of our statement,
    for a total that may be one of a whole statement; ``other_nano`` is the part of it that was read as fees, credits and so on.
    """

    findings: Findings
    ours_nano: int
    requests: int
    matched_requests: int
    usage_nano: int
    matched_nano: int
    valued: bool
    theirs_nano: int = 0
    other_nano: int = 0
    statement_nano: int | None = None
