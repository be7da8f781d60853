"""One client's connection to a server of blobd, or to the balancer before several."""

import contextlib
import json
import socket
from dataclasses import dataclass

from harness.blobd import Server


class Unanswered(Exception):
    """A request got no whole answer: the server or the connection went away."""


@dataclass(frozen=True)
class Door:
    """The address for requests, and the token for them: the part of a server that its clients need."""

    port: int
    token: str


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # by the name in small letters
    body: bytes

    @property
    def offset(self) -> int:
        return int(self.headers["upload-offset"])

    def json(self) -> dict:
        return json.loads(self.body)

    def text(self) -> str:
        return f"{self.status} {self.body[:200].decode(errors='replace')}"


class Connection:
    """A client's connection, made anew when it broke. By hand, and no more of HTTP than the server's answers have: a state
    takes some forty requests, and http.client spends most of a request's time on the headers of its answer."""

    def __init__(self, server: Server | Door, timeout: float = 30):
        self._port, self._timeout = server.port, timeout
        self._fields = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
        self._socket: socket.socket | None = None

    def ask(self, method: str, path: str, body: bytes | None = None, **headers) -> Answer:
        """Sends a request. Keyword arguments are headers, with `_` for `-`."""
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        length = f"Content-Length: {len(body or b'')}\r\n" if body is not None or method != "GET" else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._fields}{fields}{length}\r\n".encode()
        try:
            if not self._socket:
                self._socket = self._opened()
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._answers = self._socket.makefile("rb")
            self._socket.sendall(head)
            if body:
                # An answer may come before the body's end, which nobody reads then.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self._socket.sendall(body)
            answer = self._read()
        except (OSError, ValueError) as error:
            self.close()
            raise Unanswered(f"{method} {path}: {type(error).__name__} {error}") from error
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def _opened(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), self._timeout)

    def _read(self) -> Answer:
        version, status, _ = self._line().split(" ", 2)
        if version != "HTTP/1.1":
            raise ValueError(f"an answer in {version}")
        headers = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if status == "204":
            return Answer(204, headers, b"")
        length = int(headers.get("content-length", "-1"))
        body = self._answers.read(length) if length >= 0 else b""
        if len(body) != length:
            raise ValueError(f"{len(body)} bytes of a body of {length}")
        return Answer(int(status), headers, body)

    def _line(self) -> str:
        line = self._answers.readline(1 << 16)
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection ended")
        return line[:-2].decode("latin-1")

    def hang_up(self):
        """Breaks the connection under a request that waits in another thread."""
        if connection := self._socket:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        if self._socket:
            self._answers.close()
            self._socket.close()
        self._socket = None
