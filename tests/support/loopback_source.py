"""A price source on loopback that follows scripts: exact bytes, pauses, resets.

Each connection gets the next script; the last one repeats. A script is a list of bytes to send, seconds to pause, and RESET.
"""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

RESET = object()
Script: TypeAlias = list[Any]
_PATIENCE = 10.0


def answer(body: bytes = b"", status: str = "200 OK", content_type: str = "application/json", **headers: str) -> Script:
    """Return the script of a complete response; underscores in ``headers`` become dashes."""
    sent = {"content-type": content_type, "content-length": str(len(body)), "connection": "close"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in sent.items() if value)]
    return ["\r\n".join([*lines, "", ""]).encode() + body]


def packed(body: bytes, **headers: str) -> Script:
    """Return the script of a response compressed with gzip."""
    return answer(gzip.compress(body), content_encoding="gzip", **headers)


def models(*entries: tuple[Any, ...], **headers: str) -> Script:
    """Return the script of a ``/v1/models`` document; an entry is (model, provider, input and output dollars per million)."""
    listed: dict[str, list[dict[str, Any]]] = {}
    for model, provider, *prices in entries:
        pricing = {"pricing": {"input": prices[0], "output": prices[1]}} if prices else {}
        listed.setdefault(model, []).append({"provider": provider, "status": "live", **pricing})
    data = [{"id": model, "object": "model", "providers": providers} for model, providers in listed.items()]
    return answer(json.dumps({"object": "list", "data": data}).encode(), **headers)


class Source:
    """A server on loopback. ``requests`` are the headers of each request, with names in lower case."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self.scripts = list(scripts)
        self.requests: list[dict[str, str]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def respond(self, *scripts: Script) -> None:
        """Respond with these scripts from now on."""
        self.scripts = list(scripts)

    def start(self) -> None:
        """Start listening."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, even during a response."""
        self._over.set()
        self._thread.join(_PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                threading.Thread(target=self._talk, args=(connection, script), daemon=True).start()

    def _talk(self, connection: socket.socket, script: Script) -> None:
        with connection, suppress(OSError):
            connection.settimeout(_PATIENCE)
            request = b""
            while b"\r\n\r\n" not in request:
                part = connection.recv(65_536)
                if not part:
                    return
                request += part
            lines = request.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")[1:]
            self.requests.append({name.lower(): value for name, value in (line.split(": ", 1) for line in lines)})
            for step in script:
                if step is RESET:
                    # Closing with a linger time of 0 sends RST instead of FIN.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if isinstance(step, bytes):
                    connection.sendall(step)
                elif self._over.wait(step):
                    return


@contextmanager
def source(*scripts: Script) -> Iterator[Source]:
    """Serve the scripts on loopback."""
    serving = Source(scripts)
    serving.start()
    try:
        yield serving
    finally:
        serving.stop()
