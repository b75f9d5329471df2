"""A statement as a JSON file: the same answer that the API returns and ``--json`` prints."""

import json
from collections.abc import Iterator

from metering.answers.statements.statements import statement_answer
from metering.domain.statements.month_detail import MonthDetail


def statement_file(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as a JSON document."""
    answer = statement_answer(detail.statement).model_dump(mode="json")
    yield json.dumps(answer, ensure_ascii=False, indent=2).encode() + b"\n"
