"""Correcting in tests: the result must equal the preview."""

from metering.domain.charges.corrections import CorrectionChanges, CorrectionResult, CorrectionScope
from metering.operations.charges.correct_usage import continue_correction, preview_correction, start_correction, start_undo


def correct(meter, scope: CorrectionScope, *, reason: str = "no provider was logged", **values) -> CorrectionResult:
    """Preview and correct; check that both agree."""
    return _run(meter, scope, CorrectionChanges(values), reason)


def withdraw(meter, scope: CorrectionScope) -> CorrectionResult:
    """Preview and withdraw; check that both agree."""
    return _run(meter, scope, None, "a test")


def undo(meter, run_id: int) -> CorrectionResult:
    """Undo a run."""
    run = start_undo(meter.engine, run_id, reason="", now=meter.now)
    return continue_correction(meter.engine, run.id, meter.settings, clock=lambda: meter.now)


def _run(meter, scope: CorrectionScope, changes: CorrectionChanges | None, reason: str) -> CorrectionResult:
    preview = preview_correction(meter.engine, scope, changes, meter.settings)
    run = start_correction(meter.engine, scope, changes, reason=reason, now=meter.now)
    result = continue_correction(meter.engine, run.id, meter.settings, clock=lambda: meter.now)
    assert result.done_now == preview
    return result
