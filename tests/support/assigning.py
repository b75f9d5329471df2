"""Assigning in tests: what the preview shows is what is done."""

from metering.domain.usage.assigning import AssignmentResult, AssignmentScope
from metering.operations.usage.assign_usage import assign_usage, preview_assignment


def preview(meter, name: str = "stranger", account: str = "acme", **scope) -> AssignmentResult:
    """Say what assigning the usage of a name to an account would come to."""
    return preview_assignment(meter.engine, account, AssignmentScope(name, **scope), meter.settings)


def assign(meter, name: str = "stranger", account: str = "acme", **scope) -> AssignmentResult:
    """Assign it."""
    shown = preview(meter, name, account, **scope)
    done = assign_usage(meter.engine, account, AssignmentScope(name, **scope), meter.settings, clock=lambda: meter.now)
    assert done == shown
    return done


def spent(meter) -> dict[str, tuple[int, int]]:
    """(events, nano-USD) by account; what adds up to nothing is left out."""
    found = {row.group[0]: (row.events, row.amount_nano) for row in meter.spend(group_by=("account",))}
    return {name: sums for name, sums in found.items() if sums != (0, 0)}
