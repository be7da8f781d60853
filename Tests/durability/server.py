"""One blobd process, with or without the shim, and one client's connection to it or to what stands before several."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

START_LIMIT = 30.0  # seconds after which a start has failed
READY = re.compile(rb"is ready on http://127\.0\.0\.1:(\d+)\s")


class ServerFailed(Exception):
    """A server did not start, or ended on its own."""


class Unanswered(Exception):
    """A request got no whole answer: the server or the connection went away."""


@dataclass(frozen=True)
class Environment:
    """What the shim is told; see shim/interference.c."""

    library: Path
    root: Path
    control: Path | None = None
    trace: Path | None = None

    def variables(self) -> dict[str, str]:
        named = {"LD_PRELOAD": self.library, "DURABILITY_ROOT": self.root, "DURABILITY_CONTROL": self.control,
                 "DURABILITY_TRACE": self.trace}
        return {name: str(path) for name, path in named.items() if path is not None}


def clean_environment() -> dict[str, str]:
    """A setting that the caller's shell happens to export must not change what is tested."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BLOBD_")}


@dataclass(frozen=True)
class Door:
    """Where requests go, and what lets them in: the part of a server that its clients need."""

    port: int
    token: str


class Server:
    """A running server. Its output is in `log`, so that a failure can be looked at."""

    def __init__(self, blobd: Path, data: Path, log: Path, shim: Environment | None = None, settings=(),
                 variables: dict[str, str] | None = None, port: int = 0, token: str = ""):
        """`variables`: of the environment. Without a `token`, it is the first one, which the server leaves in `data`."""
        environment = clean_environment() | (shim.variables() if shim else {}) | (variables or {})
        self.data = data
        self.log = log
        started = time.monotonic()
        with log.open("wb") as output:
            # With setpriv, a test that is killed leaves no server behind.
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(blobd), "serve", "--data", str(data),
                 "--listen", f"127.0.0.1:{port}", "--min-free-space", "0", "--log-level", "warning", *settings],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        self.port = 0
        while not self.port:
            if found := READY.search(log.read_bytes()):
                self.port = int(found[1])
            elif self._child.poll() is not None or time.monotonic() > started + START_LIMIT:
                self.kill()
                raise ServerFailed(f"blobd did not start (status {self._child.returncode}): {self.said()}")
            else:
                time.sleep(0.002)
        self.start_seconds = time.monotonic() - started
        try:
            self.token = token or (data / "admin-token").read_text().strip()
        except FileNotFoundError as error:
            self.kill()
            raise ServerFailed("the file with the first token is gone") from error

    @property
    def has_ended(self) -> bool:
        return self._child.poll() is not None

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

    def pause(self):
        """SIGSTOP: everything stays as it is, and its connections stay open, until it goes on or is killed."""
        self._child.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._child.send_signal(signal.SIGCONT)

    def kill(self):
        """kill -9, and waits for the end."""
        self._child.kill()
        self._child.wait()

    def wait(self, seconds: float) -> bool:
        """Whether the server ended by itself in this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(seconds)
        return self.has_ended

    def stop(self):
        """SIGTERM, and SIGKILL to one that does not heed it."""
        self._child.terminate()
        if not self.wait(10):
            self.kill()


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
                self._socket = socket.create_connection(("127.0.0.1", self._port), self._timeout)
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
