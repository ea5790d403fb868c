"""A proxy that stands before a server and does to each request what it is told: passes it on, drops it, answers itself.

    with Proxy(server.address, ["cut after", "pass"]) as proxy:
        … WALLET_DB=proxy.url

"502 after" is an answer of its own once the server has answered, "502 gone" the last one, "data null" one with that
data. One request a connection. What is not in the list any more is passed on. With `tls` it speaks TLS to its callers.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

CERTIFICATES = Path(__file__).parent / "certificates"
TIMEOUT_S = 60


def plain(status: str, body: str, *headers: str) -> bytes:
    """An answer of a proxy's own."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


ANSWERS = {
    "502": plain("502 Bad Gateway", "<html>bad gateway</html>", "Content-Type: text/html"),
    "503": plain("503 Service Unavailable", "busy", "Retry-After: 0"),
    "later": plain("503 Service Unavailable", "busy", "Retry-After: 9999"),
    "html": plain("200 OK", "<html>hello</html>", "Content-Type: text/html"),
    "json": plain("200 OK", '{"status": "ok"}', "Content-Type: application/json"),
    "list": plain("404 Not Found", "[]", "Content-Type: application/json"),
    "older": plain("404 Not Found", '{"message": "there is nothing at this path", "data": null, "code": "not_found"}'),
    "newer": plain(
        "409 Conflict", '{"message": "no", "data": null, "code": "of_the_future", "details": {"a": 1}, "hint": "wait"}'
    ),
    "limited": plain(
        "429 Too Many Requests",
        '{"message": "slow", "data": null, "code": "rate_limited", "details": {"retry_after_s": 0}, "retryable": true}',
        "Retry-After: 0",
    ),
    "unknown": plain(
        "503 Service Unavailable",
        '{"message": "it is unknown", "data": null, "code": "storage_error", "details": {"outcome": "unknown"},'
        ' "retryable": true}',
        "Retry-After: 0",
    ),
    "waited": plain(
        "503 Service Unavailable",
        '{"message": "no answer in time", "data": null, "code": "busy", "details": {"outcome": "unknown"},'
        ' "retryable": true}',
        "Retry-After: 0",
    ),
    "slow": plain(
        "408 Request Timeout", '{"message": "slow", "data": null, "code": "request_timeout", "retryable": true}'
    ),
    "gateway": plain("504 Gateway Timeout", '{"code": "timeout", "message": "upstream"}'),
    "future": plain("500 Internal Server Error", '{"message": "no", "data": null, "code": "of_the_future"}'),
    "redirect": plain("307 Temporary Redirect", "", "Location: http://127.0.0.2:1/api/v1/elsewhere"),
    "nowhere": plain("302 Found", "", "Location: http://[/"),
    "not http": b"SSH-2.0-OpenSSH\r\n",
    "half": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
}
"""What it answers without asking anybody."""


class Proxy:
    """`requests` are those that came, `passed` those of them that the server was given."""

    def __init__(self, server: tuple[str, int], actions: Sequence[str] = (), *, tls: bool = False) -> None:
        self._server = server
        self._actions = list(actions)
        self.context: ssl.SSLContext | None = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(CERTIFICATES / "localhost.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.requests: list[bytes] = []
        self.passed = 0
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://localhost:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # it is gone
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(TIMEOUT_S)

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            # A caller that leaves in the middle is what some tests are about.
            with contextlib.suppress(OSError), caller:
                caller.settimeout(TIMEOUT_S)
                if self.context is None:
                    self._handle(caller)
                else:
                    with self.context.wrap_socket(caller, server_side=True) as secure:
                        self._handle(secure)

    def _handle(self, caller: socket.socket) -> None:
        request = _read_request(caller)
        if not request:
            return
        self.requests.append(request)
        action = self._actions.pop(0) if self._actions else "pass"
        own = ANSWERS.get(action.removesuffix(" after").removesuffix(" gone"))
        if action.startswith("data "):
            own = plain("200 OK", f'{{"message": "done", "data": {action[5:]}}}', "Content-Type: application/json")
        if own is not None:
            if action.endswith(" after") or action.startswith("data "):
                self.passed += 1
                self._ask(request)
            if action.endswith(" gone"):
                self._listener.close()
            caller.sendall(own)
        elif action != "cut before":
            self.passed += 1
            answer = self._ask(request)
            if action == "pass":
                caller.sendall(answer)
            elif action == "cut within":
                caller.sendall(answer[: len(answer) // 2])
            elif action == "gone after":
                self._listener.close()
            else:
                assert action == "cut after", action

    def _ask(self, request: bytes) -> bytes:
        """What the server answers to a request that is its connection's last."""
        request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1).replace(
            b"Connection: keep-alive\r\n", b"", 1
        )
        answer = b""
        with socket.create_connection(self._server, timeout=TIMEOUT_S) as server:
            server.sendall(request)
            while part := server.recv(65_536):
                answer += part
        return answer


def _read_request(caller: socket.socket) -> bytes:
    """A whole request; empty where there is none."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = caller.recv(65_536)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        part = caller.recv(65_536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body
