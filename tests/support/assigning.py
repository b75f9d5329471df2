"""Assigning in tests: the result must equal the preview."""

from metering.domain.usage.assigning import AssignmentResult, AssignmentScope
from metering.operations.usage.assign_usage import assign_usage, preview_assignment


def preview(meter, name: str = "stranger", account: str = "acme", **scope) -> AssignmentResult:
    """Preview assigning the usage of a name to an account."""
    return preview_assignment(meter.engine, account, AssignmentScope(name, **scope), meter.settings)


def assign(meter, name: str = "stranger", account: str = "acme", **scope) -> AssignmentResult:
    """Preview and assign; check that both agree."""
    previewed = preview(meter, name, account, **scope)
    result = assign_usage(meter.engine, account, AssignmentScope(name, **scope), meter.settings, clock=lambda: meter.now)
    assert result == previewed
    return result


def spent(meter) -> dict[str, tuple[int, int]]:
    """(events, nano-USD) by account, without zero sums."""
    by_account = {row.group[0]: (row.events, row.amount_nano) for row in meter.spend(group_by=("account",))}
    return {name: sums for name, sums in by_account.items() if sums != (0, 0)}
