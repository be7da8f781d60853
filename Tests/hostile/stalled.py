"""Clients that ask for answers and do not take them. They may cost little, keep nobody waiting, and do not stay."""

import contextlib
import itertools
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import http2
from harness.blobd import Server
from harness.client import Uploader
from harness.connection import Connection
from harness.ledger import Promise

READERS = 1000
# Seconds that are long enough for all to be there at one time: until one is cut that takes nothing, and until one is
# that has had all its answers. Handshakes take a while in a debug build.
TIMES = 10, 3
TIMES_OF_HANDSHAKES = 25, 20
RSS_LIMIT = 256  # MiB
FILES_LIMIT = 200  # beside one for each connection
FEW_FILES = 20  # blobs that were opened and are remembered
LATENCY_LIMIT = 0.1  # seconds, of 99 in 100 requests
PROBES = 300

Reader = Callable[[int, list[str]], Iterator[socket.socket]]  # port, paths; yields its connections


class Failed(Exception):
    """The server did not keep what it promises."""


def opened(port: int) -> socket.socket:
    """A connection whose client's kernel takes as little as it can."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    return connection


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def plain(port: int, paths: list[str]) -> Iterator[socket.socket]:
    for number in range(READERS):
        connection = opened(port)
        connection.sendall(get(paths[number % len(paths)]) * 4)
        yield connection


def tls(port: int, paths: list[str]) -> Iterator[socket.socket]:
    for number in range(READERS):
        connection = http2.secured(opened(port), "http/1.1")
        connection.sendall(get(paths[number % len(paths)]) * 4)
        yield connection


def streams(port: int, paths: list[str], connections: int = READERS // 100, window: int = 0) -> Iterator[socket.socket]:
    for number in range(connections):
        connection = http2.greeted(opened(port), initial_window_size=window)
        # In pieces, so that some streams are answered before others begin.
        for stream in range(100):
            connection.sendall(http2.request(2 * stream + 1, paths[(number + stream) % len(paths)]))
        yield connection


def mixed(port: int, paths: list[str]) -> Iterator[socket.socket]:
    yield from itertools.islice(tls(port, paths), READERS // 2)
    yield from streams(port, paths, READERS // 200)


@dataclass(frozen=True)
class Crowd:
    name: str
    is_secure: bool
    reader: Reader
    times: tuple[int, int] = TIMES


CROWDS = [
    Crowd("HTTP/1.1", False, plain),
    Crowd("HTTP/1.1 over TLS", True, tls, TIMES_OF_HANDSHAKES),
    Crowd("HTTP/2, windows closed", True, streams),
    Crowd("HTTP/2, windows of 64 KiB", True, lambda port, paths: streams(port, paths, window=65535)),
    Crowd("HTTP/2, 20 connections", True, lambda port, paths: streams(port, paths, 20)),
    Crowd("both over TLS", True, mixed, TIMES_OF_HANDSHAKES),
]


def resident(server: Server) -> int:
    """In MiB."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) // 1024


def files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def sockets(server: Server) -> int:
    found = Path(f"/proc/{server.pid}/fd").iterdir()
    with contextlib.suppress(FileNotFoundError):  # closed meanwhile
        return sum(str(file.readlink()).startswith("socket:") for file in found)
    return 0


def latencies(server: Server, path: str, is_secure: bool) -> list[float]:
    """Of requests of a client that takes its answers, in their order."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection = http2.secured(connection, "http/1.1") if is_secure else connection
    found = []
    with connection, connection.makefile("rb") as answers:
        for _ in range(PROBES):
            begin = time.monotonic()
            connection.sendall(get(path))
            length = 0
            while (line := answers.readline().lower()) != b"\r\n":
                if not line:
                    raise Failed("a client that takes its answers was cut")
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answers.read(length)
            found.append(time.monotonic() - begin)
    return sorted(found)


def publish(blobd: Path, folder: Path) -> list[str]:
    """The paths of what can be asked for without a token: blobs of each kind of size, and what the server makes."""
    paths = ["/openapi.json", "/metrics"]
    with closing(blobd, folder) as server:
        for size in (4 << 10, 60_000, 16 << 20):
            client = Uploader(Connection(server), Promise(f"f{size}", f"f{size}", size), lambda *_: None)
            client.start()
            client.complete(0)
            paths.insert(0, f"/api/blobs/{client.promise.digest}")
    return paths


@contextlib.contextmanager
def closing(blobd: Path, folder: Path, *options: str) -> Iterator[Server]:
    server = Server(blobd, folder / "data", folder / "log", options=options)
    try:
        yield server
    finally:
        server.stop()


def until(condition: Callable[[], bool], seconds: float) -> float | None:
    """How many seconds it took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            return None
        time.sleep(0.1)
    return time.monotonic() - begin


def measure(blobd: Path, folder: Path, paths: list[str], crowd: Crowd) -> list[str]:
    """What it has done wrong."""
    send_timeout, idle_timeout = crowd.times
    times = ["--send-timeout", f"{send_timeout}s", "--idle-timeout", f"{idle_timeout}s"]
    options = [*times, *(["--tls-self-signed"] if crowd.is_secure else [])]
    with closing(blobd, folder, *options) as server:
        at_rest = files(server)
        crowded = list(crowd.reader(server.port, paths))
        # The kernel has taken them all on. Beside them there is the listener.
        if until(lambda: sockets(server) > len(crowded), send_timeout / 2) is None:
            return [f"{crowd.name}: {len(crowded)} readers were never there at one time"]
        p99 = latencies(server, paths[-3], crowd.is_secure)[PROBES * 99 // 100]
        rss, more = resident(server), files(server) - at_rest - len(crowded)
        gone = until(lambda: files(server) <= at_rest + FEW_FILES, sum(crowd.times) + 10)
        for connection in crowded:
            connection.close()
    figures = f"{rss} MiB, {more} files beside connections, p99 {p99 * 1000:.1f} ms, gone after {gone and round(gone, 1)} s"
    print(f"stalled readers, {crowd.name}: {figures}", flush=True)
    return [f"{crowd.name}: {figures}"] if (
        rss > RSS_LIMIT or more > FILES_LIMIT or p99 > LATENCY_LIMIT or gone is None) else []


def run(blobd: Path) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="blobd-hostile-") as name:
        folder = Path(name)
        paths = publish(blobd, folder)
        return [wrong for crowd in CROWDS for wrong in measure(blobd, folder, paths, crowd)]
