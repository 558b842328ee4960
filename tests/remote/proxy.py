"""An HTTP proxy on loopback that counts what passes, and spoils some of it as a bad network and a busy store do."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

IN_A_ROW = 2
"""Faults that the same request meets at most, so that a client with patience gets through."""
MOST = 20_000
"""Requests a proxy passes on before it thinks that a client runs wild."""
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
INTERNAL = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>We had a problem.</Message></Error>"
GONE = b"<?xml version='1.0'?><Error><Code>NoSuchUpload</Code><Message>It does not exist.</Message></Error>"
FAULTS = ("internal", "slow down", "stall", "reset", "lost answer", "truncated")


@dataclass(frozen=True)
class Passed:
    """One request and what was sent back."""

    method: str
    path: str
    part: str | None
    status: int
    nbytes: int


@dataclass
class Plan:
    """What the proxy does to the requests. `chosen` sees method and path and may name a fault for it."""

    chance: float = 0.0
    seed: int = 0
    stall: float = 2.0
    chosen: Callable[[str, str], str | None] = lambda _method, _path: None
    passed: list[Passed] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    in_a_row: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311
        self.lock = threading.Lock()

    def fault(self, method: str, path: str, part: str) -> str | None:
        with self.lock:
            found = self.chosen(method, path)
            if found:
                self.faults[found] += 1
                return found
            key = (method, path, part)
            if self.random.random() >= self.chance or self.in_a_row[key] >= IN_A_ROW:
                self.in_a_row[key] = 0
                return None
            self.in_a_row[key] += 1
            found = self.random.choice(FAULTS)
            self.faults[found] += 1
            return found

    def fetched(self, path: str) -> int:
        """Bytes of a file that were sent."""
        return sum(each.nbytes for each in self.passed if each.method == "GET" and each.path.endswith(path))

    def seen(self, method: str) -> list[Passed]:
        return [each for each in self.passed if each.method == method]


class Handler(BaseHTTPRequestHandler):
    """Passes one connection's requests on to the server behind."""

    proxy: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.pass_on
        raise AttributeError(name)

    def pass_on(self) -> None:
        plan = self.proxy.plan
        nbytes = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(nbytes) if nbytes else chunked(self) if "Transfer-Encoding" in self.headers else b""
        fault = plan.fault(self.command, self.path, self.headers.get("Range") or "")
        if len(plan.passed) > MOST or fault == "reset":
            self.reset()
        elif fault == "stall":
            time.sleep(plan.stall)
            self.reset()
        elif fault in {"internal", "slow down"}:
            self.answer(500 if fault == "internal" else 503, {}, INTERNAL if fault == "internal" else SLOW_DOWN)
        elif fault == "no such upload":
            self.answer(404, {}, GONE)
        else:
            self.ask(body, fault)

    def ask(self, body: bytes, fault: str | None) -> None:
        with_body = {name: value for name, value in self.headers.items() if name != "Transfer-Encoding"}
        back = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=30)
        try:
            back.request(self.command, self.path, body, {**with_body, "Content-Length": str(len(body))})
            answer = back.getresponse()
            data = answer.read()
        finally:
            back.close()
        if fault == "lost answer":
            self.reset()
            return
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in {"connection", "transfer-encoding"}}
        self.answer(answer.status, headers, data, cut=fault == "truncated")

    def answer(self, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        sent = b"" if self.command == "HEAD" else data[: len(data) // 2] if cut else data
        self.wfile.write(sent)
        part = self.headers.get("Range")
        with self.proxy.plan.lock:
            self.proxy.plan.passed.append(Passed(self.command, self.path, part, status, len(sent)))
        if cut and data:
            self.reset()

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Connections that end early are the point."""


class Proxy:
    """Stands before the server at `port`, until it is closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.plan = Plan()
        handler = type("Bound", (Handler,), {"proxy": self})
        self.server = Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def chunked(handler: BaseHTTPRequestHandler) -> bytes:
    """The body of a request that came in chunks."""
    body = b""
    while nbytes := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(nbytes)
        handler.rfile.readline()
    while handler.rfile.readline().strip():
        pass
    return body
