"""What holding a bill against our usage comes to, whichever grain it was done at."""

from msgspec import Struct

from metering.domain.reconciliation.findings import Findings


class Comparison(Struct):
    """``findings`` lead from ``ours_nano`` to ``theirs_nano``, nano-USD.

    ``usage_nano`` is what their usage lines come to, ``matched_nano`` what of it found usage of ours; ``valued``: their lines
    state no amounts, and these are their quantities at our prices.
    """

    findings: Findings
    ours_nano: int
    requests: int
    matched_requests: int
    usage_nano: int
    matched_nano: int
    valued: bool
    theirs_nano: int = 0
