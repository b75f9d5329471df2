"""Pages of lists: the cursor continues after the last item that was shown, and a page promises no other that is empty."""

import pytest
from pydantic import Field

from metering.answers.fields import Page
from metering.web.pages import PageRequest
from metering.web.problems import ApiProblem

QUESTION = ["numbers"]


class NumberPage(Page):
    """A page of numbers."""

    items: list[int] = Field(description="The numbers.", examples=[[1]])


def page(rows, *, limit=2):
    return PageRequest(limit, None).of(NumberPage, rows, answer=lambda row: row, key=lambda row: [row], question=QUESTION)


@pytest.mark.parametrize("rows", [[], [10], [10, 20]])
def test_a_page_that_shows_all_rows_is_the_last_one(rows):
    shown = page(rows)
    assert (shown.items, shown.next_cursor) == (rows, None)


def test_one_row_more_than_the_page_holds_is_not_shown_and_the_cursor_is_that_of_the_last_one_shown():
    shown = page([10, 20, 30])
    assert shown.items == [10, 20]
    assert PageRequest(2, shown.next_cursor).start(QUESTION, [0]) == [20]


def test_a_page_asks_for_one_row_more_than_it_shows():
    assert PageRequest(2, None).rows == 3


def test_the_first_page_starts_at_the_beginning_and_a_cursor_of_another_question_nowhere():
    assert PageRequest(2, None).start(QUESTION, [0]) == [0]
    with pytest.raises(ApiProblem) as refused:
        PageRequest(2, page([10, 20, 30]).next_cursor).start(["letters"], [0])
    assert refused.value.code == "invalid_cursor"
