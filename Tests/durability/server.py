"""One blobd process, with or without the shim, and one client's connection to it."""

import contextlib
import http.client
import json
import os
import re
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


class Server:
    """A running server. Its output is in `log`, so that a failure can be looked at."""

    def __init__(self, blobd: Path, data: Path, log: Path, shim: Environment | None = None, settings=()):
        # A setting that the caller's shell happens to export must not change what is tested.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BLOBD_")}
        environment |= shim.variables() if shim else {}
        self.data = data
        self.log = log
        started = time.monotonic()
        with log.open("wb") as output:
            # With setpriv, a test that is killed leaves no server behind.
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(blobd), "serve", "--data", str(data),
                 "--listen", "127.0.0.1:0", "--min-free-space", "0", "--log-level", "warning", *settings],
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
            self.token = (data / "admin-token").read_text().strip()
        except FileNotFoundError as error:
            self.kill()
            raise ServerFailed("the file with the first token is gone") from error

    @property
    def has_ended(self) -> bool:
        return self._child.poll() is not None

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

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
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def offset(self) -> int:
        return int(self.headers["Upload-Offset"])

    def json(self) -> dict:
        return json.loads(self.body)

    def text(self) -> str:
        return f"{self.status} {self.body[:200].decode(errors='replace')}"


class Connection:
    """A client's connection, made anew when it broke."""

    def __init__(self, server: Server, timeout: float = 30):
        self._token = server.token
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Sends a request. Keyword arguments are headers, with `_` for `-`."""
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        named["Authorization"] = f"Bearer {self._token}"
        try:
            self._connection.request(method, path, body, named)
            answer = self._connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unanswered(f"{method} {path}: {type(error).__name__} {error}") from error

    def close(self):
        self._connection.close()
