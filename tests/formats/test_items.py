"""The items of an array are returned as their raw bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.errors import LogFormatError
from metering.formats.items import split_items

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.lists(values, max_size=6), st.sampled_from([None, 1]), st.sampled_from(["", " ", "\r\n"]))
def test_joining_the_items_restores_the_array(items, indent, around):
    text = around + json.dumps(items, indent=indent) + around
    raw = split_items(text.encode())
    assert len(raw) == len(items)
    assert [json.dumps(json.loads(each)) for each in raw] == [json.dumps(item) for item in items]


def test_an_item_with_invalid_utf8_is_still_split_off():
    assert split_items(b'[{"a":"\xff"}, 2]') == [b'{"a":"\xff"}', b"2"]
    assert split_items(b'[{"a":"\xff"}, NaN]') == [b'{"a":"\xff"}', b"NaN"]


@pytest.mark.parametrize(
    "data", [b"", b"[", b"[1", b"[1,]", b"[NaN,]", b"[1] 2", b"[NaN] 2", b"[NaN 2]", b'{"a": 1}', b"5", b"NaN", b"[" * 100_000]
)
def test_a_document_that_is_not_an_array_is_refused_as_a_whole(data):
    with pytest.raises(LogFormatError) as caught:
        split_items(data)
    assert caught.value.code == "not_json"
