"""Shorten a failing scenario: leave out what is not needed for the same kind of failure."""

from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Engine

from simulation.scenario import Ingest, Step
from simulation.simulate import Failure, simulate


def shortest(failure: Failure, empty: Callable[[], Engine]) -> Failure:
    """Return the failure of the shortest scenario: no step, record or interruption can be left out."""
    steps = failure.scenario.steps[: failure.step + 1]
    failure = replace(failure, scenario=replace(failure.scenario, steps=steps))
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
    steps = failure.scenario.steps
    candidates = [(*steps[:at], *steps[at + size :]) for at in range(0, len(steps), size)]
    if size == 1:
        candidates += [(*steps[:at], simpler, *steps[at + 1 :]) for at, step in enumerate(steps) for simpler in _simpler(step)]
    for candidate in candidates:
        if not candidate:
            continue
        found = simulate(replace(failure.scenario, steps=candidate), empty())
        if found is not None and found.kind == failure.kind:
            return replace(found, scenario=replace(found.scenario, steps=candidate[: found.step + 1]))
    return None


def _simpler(step: Step) -> list[Step]:
    simpler = [] if step.interrupted_at is None else [replace(step, interrupted_at=None)]
    if isinstance(step.action, Ingest) and len(step.action.records) > 1:
        records = step.action.records
        simpler += [replace(step, action=Ingest((*records[:at], *records[at + 1 :]))) for at in range(len(records))]
    return simpler
