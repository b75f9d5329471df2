"""A price source on loopback that behaves as a test says: exact bytes, pauses, resets. Stops with its block.

Each connection gets the next of the scripts, the last one again and again. A script is a list of bytes to send, numbers of
seconds to pause, and RESET.
"""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RESET = object()
_PATIENCE = 10.0


def answer(body: bytes = b"", status: str = "200 OK", content_type: str = "application/json", **headers: str) -> list:
    """A whole answer; ``headers`` are written with dashes for underscores."""
    told = {"content-type": content_type, "content-length": str(len(body)), "connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in told.items() if value)]
    return ["\r\n".join([*lines, "", ""]).encode() + body]


def packed(body: bytes, **headers: str) -> list:
    """The same as gzip."""
    return answer(gzip.compress(body), content_encoding="gzip", **headers)


def models(*entries: tuple, **headers: str) -> list:
    """A document as the router's ``/v1/models``; an entry is (model, provider, dollars per million in, and out)."""
    listed: dict[str, list] = {}
    for model, provider, *prices in entries:
        pricing = {"pricing": {"input": prices[0], "output": prices[1]}} if prices else {}
        listed.setdefault(model, []).append({"provider": provider, "status": "live", **pricing})
    data = [{"id": model, "object": "model", "providers": providers} for model, providers in listed.items()]
    return answer(json.dumps({"object": "list", "data": data}).encode(), **headers)


class Source:
    """Where it listens, and what it was asked: the headers of each request, names in lower case."""

    def __init__(self, scripts: tuple) -> None:
        self.scripts = list(scripts)
        self.requests: list[dict[str, str]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def say(self, *scripts: list) -> None:
        """Answer like this from now on."""
        self.scripts = list(scripts)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End, whatever is going on."""
        self._over.set()
        self._thread.join(_PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                threading.Thread(target=self._talk, args=(connection, script), daemon=True).start()

    def _talk(self, connection: socket.socket, script: list) -> None:
        with connection, suppress(OSError):
            connection.settimeout(_PATIENCE)
            asked = b""
            while b"\r\n\r\n" not in asked:
                part = connection.recv(65_536)
                if not part:
                    return
                asked += part
            lines = asked.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")[1:]
            self.requests.append({name.lower(): value for name, value in (line.split(": ", 1) for line in lines)})
            for step in script:
                if step is RESET:
                    # Closing with a linger of nothing sends RST instead of FIN.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if isinstance(step, bytes):
                    connection.sendall(step)
                elif self._over.wait(step):
                    return


@contextmanager
def source(*scripts: list) -> Iterator[Source]:
    """Serve the scripts on loopback."""
    serving = Source(scripts)
    serving.start()
    try:
        yield serving
    finally:
        serving.stop()
