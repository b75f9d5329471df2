"""A claim about every row of a table as one test: one database and one application serve all rows."""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any


def for_each(names: str, rows: Iterable[Any]) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Return a decorator that runs a test's body for each row, as ``pytest.mark.parametrize`` would, within one test.

    The test fails with the failures of all rows, each noting its row. An empty table fails: it would prove nothing.
    """
    parameters = [name.strip() for name in names.split(",")]
    table = list(rows)

    def decorate(test: Callable[..., Any]) -> Callable[..., None]:
        signature = inspect.signature(test)

        @wraps(test)
        def run(**fixtures: object) -> None:
            assert table, f"no rows for {names}"
            failed, failures = [], []
            for row in table:
                values = dict(zip(parameters, row if len(parameters) > 1 else (row,), strict=True))
                try:
                    test(**fixtures, **values)
                except Exception as failure:
                    failed.append(", ".join(f"{name}={value!r}" for name, value in values.items()))
                    failure.add_note(f"with {failed[-1]}")
                    failures.append(failure)
            if failures:
                # All rows in the message: of the failures, only the first are shown.
                raise ExceptionGroup("\n  ".join([f"{len(failures)} of {len(table)} rows fail:", *failed]), failures)

        others = [each for name, each in signature.parameters.items() if name not in parameters]
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined] # read by pytest
        return run

    return decorate
