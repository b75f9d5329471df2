"""A request with the bytes of the last head needs no parser; every other one goes through it."""

import pytest

from metering.sidecar.heads import RequestHead
from metering.sidecar.repeated_requests import RepeatedRequests

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\nX-Metering-Project: p\r\n\r\n"
FIRST = HEAD % b"5" + b"hello"


def head(length: int | None = 5, *, expects_continue: bool = False) -> RequestHead:
    return RequestHead(b"POST", b"/v1/chat/completions", [(b"host", b"a")], "1.1", True, length, expects_continue)


@pytest.fixture
def repeated():
    remembered = RepeatedRequests()
    remembered.remember(FIRST, head())
    return remembered


def test_the_same_head_with_another_length_is_recognized(repeated):
    assert repeated.match(FIRST) == (head(), b"hello")
    assert repeated.match(HEAD % b"12" + b"hello, world") == (head(12), b"hello, world")


@pytest.mark.parametrize(
    "data",
    [
        HEAD % b"6" + b"hello",  # more is to come
        HEAD % b"4" + b"hello",  # another request begins
        HEAD % b"+5" + b"hello",
        HEAD % b"0x5" + b"hello",
        HEAD % b"5 " + b"hello",
        HEAD % b"" + b"hello",
        HEAD % b"0",
        HEAD % (b"0" * 30 + b"5") + b"hello",
        HEAD % "\u0665".encode() + b"hello",
        FIRST.replace(b"POST", b"PUT"),
        FIRST.replace(b"Project: p", b"Project: q"),
        FIRST.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        FIRST[:40],
        b"",
    ],
)
def test_anything_else_is_left_to_the_parser(repeated, data):
    assert repeated.match(data) is None


@pytest.mark.parametrize("remembered", [head(None), head(0), head(6), head(expects_continue=True)])
def test_a_head_whose_meaning_is_not_in_its_bytes_alone_is_not_remembered(remembered):
    repeated = RepeatedRequests()
    repeated.remember(FIRST, remembered)
    assert repeated.match(FIRST) is None


def test_a_head_that_came_in_two_pieces_is_not_remembered():
    repeated = RepeatedRequests()
    repeated.remember(FIRST[:30], head())
    assert repeated.match(FIRST) is None


def test_whole_requests_with_and_without_the_last_head_are_answered_on_one_connection(raw, upstream, project, sidecar):
    body = b'{"model": "openai/gpt-oss-120b", "messages": []}'
    for path in (b"/v1/chat/completions", b"/v1/chat/completions", b"/v1/responses", b"/v1/responses"):
        for more in (b"", b"  "):
            text = body + more
            request = b"POST %b HTTP/1.1\r\nhost: a\r\nx-metering-project: %b\r\ncontent-length: %d\r\n\r\n%b"
            raw.send(request % (path, project.encode(), len(text), text))
            assert raw.response().status == 200
    asked = upstream.wait_for(8)
    assert [each.path for each in asked] == ["/v1/chat/completions"] * 4 + ["/v1/responses"] * 4
    assert [len(each.body) - len(body) for each in asked] == [0, 2] * 4
    assert len(sidecar.events(8, project)) == 8
