"""A stand-in for the router, as fast as Python allows: answers of 1.1 KB, or streams of chunks, each with a fresh response ID.

``python mock_upstream.py PORT [CERTIFICATE KEY]`` listens on loopback, with TLS if a certificate is given. A request whose body
asks for a stream gets as many chunks as its header ``x-bench-chunks`` states, one every ``x-bench-pause-ms``.
"""

import asyncio
import itertools
import os
import re
import ssl
import sys
from typing import cast

import uvloop

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Tue, 01 Dec 2026 10:00:00 GMT\r\ncontent-type: %b\r\nx-inference-provider: together\r\n"
    b"x-router-route: fastest\r\ninference-id: inf-%b\r\nx-request-id: req-%b\r\nvary: Origin\r\n"
    b"access-control-allow-origin: *\r\n%b\r\n\r\n"
)
_ANSWER = (
    b'{"id":"chatcmpl-%b","object":"chat.completion","created":1796119200,"model":"'
    + MODEL.encode()
    + b'","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"' + b"word " * 140 + b'"},"logprobs":null,"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":320,"completion_tokens":140,"total_tokens":460,"prompt_tokens_details":{"cached_tokens":64}}}'
)
_CHUNK = (
    b'data: {"id":"chatcmpl-%b","object":"chat.completion.chunk","created":1796119200,"model":"' + MODEL.encode() + b'",'
    b'"choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}\n\n'
)
_LAST = (
    b'data: {"id":"chatcmpl-%b","object":"chat.completion.chunk","created":1796119200,"model":"' + MODEL.encode() + b'",'
    b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-%b","object":"chat.completion.chunk","created":1796119200,"model":"' + MODEL.encode() + b'",'
    b'"choices":[],"usage":{"prompt_tokens":320,"completion_tokens":100,"total_tokens":420}}\n\n'
)
_DONE = b"data: [DONE]\n\n"
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_CHUNKS = re.compile(rb"x-bench-chunks: *([0-9]+)", re.IGNORECASE)
_PAUSE = re.compile(rb"x-bench-pause-ms: *([0-9]+)", re.IGNORECASE)
_counter = itertools.count(1)
_run = os.urandom(4).hex().encode()


class Answering(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._pieces: list[bytes] = []
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        if self._missing:
            self._missing = max(0, self._missing - len(data))
        else:
            data = b"".join(self._pieces)
            self._pieces = [data]
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(data, 0, end)
            self._missing = end + 4 + (int(length[1]) if length else 0) - len(data)
        if not self._missing:
            head, _, body = self._pieces[0].partition(b"\r\n\r\n")
            self._pieces.clear()
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        self._number = b"%b%012x" % (_run, next(_counter))
        if b'"stream":true' not in body and b'"stream": true' not in body:
            answer = _ANSWER % self._number
            head = _HEAD % (b"application/json", self._number, self._number, b"content-length: %d" % len(answer))
            self._transport.write(head + answer)
            return
        chunks, pause = _CHUNKS.search(head), _PAUSE.search(head)
        self._left = int(chunks[1]) if chunks else 100
        self._pause = int(pause[1]) / 1000 if pause else 0.0
        self._transport.write(_HEAD % (b"text/event-stream", self._number, self._number, b"transfer-encoding: chunked"))
        asyncio.get_running_loop().call_soon(self._next_chunk)

    def _next_chunk(self) -> None:
        if self._transport.is_closing():
            return
        if self._left:
            self._left -= 1
            self._transport.write(_framed(_CHUNK % self._number))
            asyncio.get_running_loop().call_later(self._pause, self._next_chunk)
        else:
            end = [_framed(each) for each in (_LAST % self._number, _USAGE % self._number, _DONE)]
            self._transport.write(b"".join([*end, b"0\r\n\r\n"]))


def _framed(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


async def serve(port: int, certificate: list[str]) -> None:
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port, ssl=tls, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2:]))
