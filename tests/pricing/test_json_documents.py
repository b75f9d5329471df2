"""JSON is read with exact numbers, and anything but a JSON object is refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import InvalidPriceError
from pricing.sources import json_documents
from pricing.sources.json_documents import read_json_object


def refusal(content):
    with pytest.raises(InvalidPriceError) as refused:
        read_json_object(content, "models.json")
    assert refused.value.fault == "unreadable"
    return str(refused.value)


def test_a_decimal_fraction_stays_the_decimal_that_was_written():
    found = read_json_object(b'\xef\xbb\xbf{"a": 1.0399999999999998, "b": 1e-7, "c": 3}', "x")
    assert found == {"a": Decimal("1.0399999999999998"), "b": Decimal("1e-7"), "c": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<!DOCTYPE html><html></html>", "models.json: looks like HTML, not JSON"),
        ("\n\n  <html>", "models.json: looks like HTML, not JSON"),
        ("", "models.json: the document is empty"),
        (" \n", "models.json: the document is empty"),
        ('{"a": NaN}', "models.json: NaN is not a number"),
        ('{"a": -Infinity}', "models.json: -Infinity is not a number"),
        ('{"a": 1, "b": 2, "a": 3}', "models.json: the key 'a' occurs twice"),
        ("[]", "models.json: must be a JSON object, got a list"),
        ("null", "models.json: must be a JSON object, got null"),
        ('"text"', "models.json: must be a JSON object, got a string"),
        ("3", "models.json: must be a JSON object, got a number"),
        ('{"a": ', "models.json: not JSON: Expecting value in line 1, column 7"),
        ("provider,model\n", "models.json: not JSON"),
        (b"\xff\xfe{", "models.json: not UTF-8 text"),
        ('"\ud800"', "models.json: not UTF-8 text"),
        ("[" * 200_000, "models.json: nested too deeply"),
        ('{"a": ' + "9" * 5_000 + "}", "models.json: Exceeds the limit"),
    ],
)
def test_an_unreadable_document_is_refused(content, message):
    assert refusal(content).startswith(message)


def test_a_document_beyond_the_limit_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(json_documents, "MAX_BYTES", 10)
    assert refusal("[" * 11) == "models.json: 11 bytes exceed the limit of 10"


@given(st.text(max_size=100) | st.binary(max_size=100))
def test_any_content_is_read_or_raises_the_documented_error(content):
    try:
        assert isinstance(read_json_object(content, "x"), dict)
    except InvalidPriceError as error:
        assert error.fault == "unreadable"
