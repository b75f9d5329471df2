"""A head like the last one of its connection is not checked again; any difference but that of the body's length is noticed."""

import pytest

from metering.sidecar.callers import Callers
from metering.sidecar.heads import BadHeadError, HeadReader, upstream_head

HEADERS = [
    (b"host", b"a"),
    (b"content-type", b"application/json"),
    (b"x-metering-project", b"search"),
    (b"content-length", b"5"),
]
CALLERS = Callers(b"s" * 32, "acme", {}, "")


def read(reader, headers, target=b"/v1", method=b"POST", version="1.1", *, keep_alive=True):
    return reader.read(method, target, headers, version, keep_alive=keep_alive)


def with_length(length):
    return [*HEADERS[:3], (b"content-length", length)]


def test_the_length_is_that_of_each_request():
    reader = HeadReader(1_000)
    first, second = read(reader, HEADERS), read(reader, with_length(b"77"))
    assert (first.length, second.length) == (5, 77)
    assert second.derived is first.derived
    for head in (first, second):
        sent = upstream_head(head, b"up", head.length, plain_answer=True)
        assert sent == (
            b"POST /v1 HTTP/1.1\r\nhost: up\r\ncontent-type: application/json\r\naccept-encoding: identity\r\n"
            b"content-length: %d\r\n\r\n" % head.length
        )


def test_labels_of_another_project_are_not_those_of_the_last_request():
    reader = HeadReader(1_000)
    other = [*HEADERS[:2], (b"x-metering-project", b"chat"), HEADERS[3]]
    heads = [read(reader, headers) for headers in (HEADERS, HEADERS, other, HEADERS)]
    assert [CALLERS.caller(head).project for head in heads] == ["search", "search", "chat", "search"]


def test_another_target_method_version_or_connection_is_another_head():
    reader = HeadReader(1_000)
    first = read(reader, HEADERS)
    others = [
        read(reader, HEADERS, target=b"/v2"),
        read(reader, HEADERS, method=b"PUT"),
        read(reader, HEADERS, version="1.0"),
        read(reader, HEADERS, keep_alive=False),
    ]
    assert all(each.derived is not first.derived for each in others)
    assert [each.target for each in others] == [b"/v2", b"/v1", b"/v1", b"/v1"]


@pytest.mark.parametrize(
    "headers",
    [
        with_length(b"5, 5"),
        with_length(b"-1"),
        [*HEADERS, (b"content-length", b"5")],
        [*HEADERS, (b"transfer-encoding", b"chunked")],
        [*HEADERS, (b"bad name", b"x")],
    ],
)
def test_a_head_that_is_refused_is_refused_after_a_good_one_too(headers):
    reader = HeadReader(1_000)
    read(reader, HEADERS)
    with pytest.raises(BadHeadError):
        read(reader, headers)


def test_a_length_next_to_chunks_is_refused_after_a_chunked_request():
    reader = HeadReader(1_000)
    chunked = [*HEADERS[:3], (b"transfer-encoding", b"chunked")]
    assert read(reader, chunked).length is None
    with pytest.raises(BadHeadError):
        read(reader, [*chunked, (b"content-length", b"5")])


def test_a_request_without_a_body_after_one_with_a_body_has_none():
    reader = HeadReader(1_000)
    read(reader, HEADERS)
    assert read(reader, HEADERS[:3]).length == 0
