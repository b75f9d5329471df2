"""A failing life made short: what it does not need is left out, as long as it fails with the same kind of problem."""

from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Engine

from simulation.script import Ingest, Step
from simulation.simulate import Failure, simulate


def shortened(failure: Failure, empty: Callable[[], Engine]) -> Failure:
    """Return a failure of a shorter life: no step of it, no record and no interruption can be left out."""
    steps = failure.script.steps[: failure.step + 1]
    failure = replace(failure, script=replace(failure.script, steps=steps))
    size = max(1, len(steps) // 4)
    while True:
        shorter = _first_shorter(failure, size, empty)
        if shorter is not None:
            failure = shorter
        elif size > 1:
            size //= 2
        else:
            return failure


def _first_shorter(failure: Failure, size: int, empty: Callable[[], Engine]) -> Failure | None:
    steps = failure.script.steps
    candidates = [(*steps[:at], *steps[at + size :]) for at in range(0, len(steps), size)]
    if size == 1:
        candidates += [(*steps[:at], simpler, *steps[at + 1 :]) for at, step in enumerate(steps) for simpler in _simpler(step)]
    for candidate in candidates:
        if not candidate:
            continue
        found = simulate(replace(failure.script, steps=candidate), empty())
        if found is not None and found.kind == failure.kind:
            return replace(found, script=replace(found.script, steps=candidate[: found.step + 1]))
    return None


def _simpler(step: Step) -> list[Step]:
    simpler = [] if step.interrupted_at is None else [replace(step, interrupted_at=None)]
    if isinstance(step.action, Ingest) and len(step.action.records) > 1:
        records = step.action.records
        simpler += [replace(step, action=Ingest((*records[:at], *records[at + 1 :]))) for at in range(len(records))]
    return simpler
