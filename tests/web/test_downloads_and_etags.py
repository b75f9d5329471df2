"""File names and entity tags in headers."""

import pytest

from metering.web.downloads import disposition
from metering.web.etags import ANY, etag, parse_if_none_match


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        (None, set()),
        ("", set()),
        ("*", {ANY}),
        (' "a" ', {"a"}),
        ('"a", W/"b","c"', {"a", "b", "c"}),
        ('W/"a,b"', {"a,b"}),
        ("a", set()),
        ('"a', set()),
    ],
)
def test_the_tags_of_a_header_are_read_for_weak_comparison(header, tags):
    assert parse_if_none_match(header) == tags


def test_a_tag_is_quoted():
    assert etag("abc") == '"abc"'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "attachment; filename=\"a.csv\"; filename*=UTF-8''a.csv"),
        ('ö"\r\n;.csv', "attachment; filename=\"_____.csv\"; filename*=UTF-8''%C3%B6%22%0D%0A%3B.csv"),
        ("日.pdf", "attachment; filename=\"_.pdf\"; filename*=UTF-8''%E6%97%A5.pdf"),
    ],
)
def test_a_file_name_is_given_in_both_forms_and_cannot_break_out_of_its_header(name, expected):
    assert disposition(name) == expected
