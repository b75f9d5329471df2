"""Pages of lists: keyset pagination with an opaque cursor.

A route declares ``PageNow``, asks for one row more than ``limit`` after ``page.start(...)``, and returns ``page.of(...)``.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query
from msgspec import Struct

from metering.answers.fields import Page
from metering.web.cursors import Key, read_cursor, write_cursor

MAX_PAGE = 1_000
DEFAULT_PAGE = 100

_Page = TypeVar("_Page", bound=Page)
_Row = TypeVar("_Row")


class PageRequest(Struct, frozen=True):
    """Which page of a list to answer: at most ``limit`` items, after the cursor of the page before."""

    limit: int
    cursor: str | None

    @property
    def rows(self) -> int:
        """How many rows to ask for: one more than the page holds shows whether another page follows."""
        return self.limit + 1

    def start(self, question: object, first: Sequence[int | str]) -> Key:
        """Return the key after which the page starts; ``first`` on the first page. Its types are those of the cursor's parts.

        ``question`` is what is listed (any JSON value): a cursor is only valid for the same question. Raises ApiProblem
        ``invalid_cursor``.
        """
        return list(first) if self.cursor is None else read_cursor(self.cursor, question, [type(part) for part in first])

    def of(
        self,
        model: type[_Page],
        /,
        rows: Sequence[_Row],
        answer: Callable[[_Row], object],
        key: Callable[[_Row], Sequence[int | str]],
        question: object,
        **fields: Any,
    ) -> _Page:
        """Return the page of ``model``: ``answer`` of each of the first ``limit`` rows, and the cursor if more follow.

        ``key`` is what rows are ordered by; ``fields`` are further fields of the model.
        """
        shown = rows[: self.limit]
        more = write_cursor(key(shown[-1]), question) if len(rows) > self.limit else None
        return model.model_validate({**fields, "items": [answer(row) for row in shown], "next_cursor": more})


def page_request(
    limit: Annotated[
        int, Query(ge=1, le=MAX_PAGE, description="Maximum number of items on the page.", examples=[DEFAULT_PAGE])
    ] = DEFAULT_PAGE,
    cursor: Annotated[
        str | None,
        Query(
            max_length=4096,
            description="`next_cursor` of the previous page; opaque, and only valid with the same parameters.",
            examples=["qT1vW3hPWzE3OTM2NDI1MDAxMjM0NTYsMV0"],
        ),
    ] = None,
) -> PageRequest:
    """Return the requested page."""
    return PageRequest(limit, cursor)


PageNow = Annotated[PageRequest, Depends(page_request)]
