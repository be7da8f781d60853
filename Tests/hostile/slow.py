"""Clients that are slow in every way, hundreds of each: gone in their time, and nobody else notices."""

import contextlib
import functools
import multiprocessing
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import http2
from harness.blobd import Server
from harness.client import Uploader
from harness.connection import Connection, Door
from harness.ledger import Promise
from stalled import LATENCY_LIMIT, closing, get, latencies, opened, publish
from timers import clients

CROWD = 400  # of each kind
SHORT = {"header": 4, "body": 4, "send": 5, "idle": 6}  # seconds
DEFAULTS = {"header": 10, "body": 30, "send": 60, "idle": 60}
GRACE = 4  # seconds; a crowd comes and goes within some
PAUSE = 1  # seconds between two bytes of a slow client
UNKNOWN_LENGTH = 1 << 20


@dataclass(frozen=True)
class Upload:
    path: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Kind:
    name: str
    time: str  # what it is closed by
    enter: Callable[[int, str, Upload], socket.socket]  # port, path of a large blob
    drip: Callable[[int], bytes] | None = None  # what it sends now and then; of how often it has


def sent(head: Callable[[str, Upload], bytes], secured: bool) -> Callable[[int, str, Upload], socket.socket]:
    def enter(port: int, path: str, upload: Upload) -> socket.socket:
        connection = http2.secured(opened(port), "http/1.1") if secured else opened(port)
        connection.sendall(head(path, upload))
        return connection
    return enter


def framed(frames: Callable[[str, Upload], bytes], window: int = 65535) -> Callable[[int, str, Upload], socket.socket]:
    def enter(port: int, path: str, upload: Upload) -> socket.socket:
        connection = http2.greeted(opened(port), initial_window_size=window)
        connection.sendall(frames(path, upload))
        return connection
    return enter


def post(_: str, upload: Upload) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in upload.fields.items())
    return f"POST {upload.path} HTTP/1.1\r\nHost: a\r\nContent-Length: {UNKNOWN_LENGTH}\r\n{fields}\r\n".encode()


def post_frame(_: str, upload: Upload) -> bytes:
    pseudo = {":method": "POST", ":scheme": "https", ":authority": "a", ":path": upload.path}
    fields = pseudo | {name.lower(): value for name, value in upload.fields.items()}
    return http2.frame(http2.HEADERS, 1, b"".join(http2.literal(*field) for field in fields.items()), http2.END_HEADERS)


def http1(secured: bool) -> list[Kind]:
    kind = "TLS" if secured else "HTTP/1.1"
    return [
        Kind(f"{kind}: silent", "idle", sent(lambda *_: b"", secured)),
        Kind(f"{kind}: slow headers", "header", sent(lambda *_: b"GET / HTTP/1.1\r\nX: ", secured), lambda _: b"a"),
        Kind(f"{kind}: slow body", "body", sent(post, secured), lambda _: b"a" * 100),
        Kind(f"{kind}: an answer that is not read", "send", sent(lambda path, _: get(path), secured)),
    ]


HTTP2 = [
    Kind("HTTP/2: silent", "idle", framed(lambda *_: b"")),
    Kind("HTTP/2: slow headers", "idle", framed(lambda *_: http2.frame(http2.HEADERS, 1, http2.literal("a", "b"))),
         lambda count: http2.frame(http2.CONTINUATION, 1, http2.literal("a", str(count)))),
    Kind("HTTP/2: slow body", "body idle", framed(post_frame), lambda _: http2.frame(http2.DATA, 1, b"a" * 100)),
    Kind("HTTP/2: an answer that is not read", "send idle", framed(lambda path, _: http2.request(1, path), 1000)),
]


@dataclass
class Client:
    kind: Kind
    connection: socket.socket
    begin: float
    drips: int = 0


class Crowd(threading.Thread):
    """Keeps clients slow, and notes when the server closes their connections."""

    def __init__(self, server: Server, times: dict[str, int]):
        super().__init__(daemon=True)
        self._server, self._times = server, times
        self._lock = threading.Lock()
        self._open: dict[int, Client] = {}
        self._seen: set[int] = set()
        self._is_whole = False
        self.wrong: list[str] = []
        self.took: dict[str, list[float]] = {}

    def add(self, kind: Kind, connection: socket.socket):
        with self._lock:
            self._open[connection.getsockname()[1]] = Client(kind, connection, time.monotonic())

    def is_whole(self):
        self._is_whole = True

    def run(self):
        while not self._is_whole or self._open:
            with self._lock:
                current = dict(self._open)
            still = clients(self._server)
            self._seen |= still
            for port, client in current.items():
                self._look(port, client, port in still)
            time.sleep(0.1)

    def _look(self, port: int, client: Client, is_open: bool):
        due = sum(self._times[word] for word in client.kind.time.split())
        took = time.monotonic() - client.begin
        # The server takes a connection when it comes to it.
        if is_open and took < due + GRACE or port not in self._seen and took < due:
            if client.kind.drip and took > PAUSE * (client.drips + 1):
                client.drips += 1
                with contextlib.suppress(OSError):  # it may just have been closed
                    client.connection.sendall(client.kind.drip(client.drips))
            return
        self.took.setdefault(client.kind.name, []).append(took)
        if is_open or took < due - GRACE / 2:
            self.wrong.append(f"{client.kind.name}: {'open' if is_open else 'closed'} after {took:.1f} s instead of {due} s")
        client.connection.close()
        with self._lock:
            del self._open[port]


def uploads(blobd: Path, folder: Path, count: int) -> list[Upload]:
    with closing(blobd, folder, "--max-open-uploads", str(count + 1)) as server:
        connection, found = Connection(server), []
        for number in range(count):
            client = Uploader(connection, Promise(f"u{number}", f"u{number}", 1), lambda *_: None)
            client.start()
            fields = {"Authorization": f"Bearer {server.token}", "PortSIP-Upload-Token": client.promise.token}
            found.append(Upload(f"/api/blobs/uploads/{client.promise.id}/append", fields))
        return found


def watch_others(port: int, is_secure: bool, is_over, slowest):
    """Tells the p99 of all its requests, one after the other, until it is over."""
    found: list[float] = []
    while not is_over.wait(0.1):
        found += latencies(Door(port, ""), "/health", is_secure)
    slowest.put(sorted(found)[len(found) * 99 // 100])


def measure(blobd: Path, folder: Path, path: str, appends: list[Upload], kinds: list[Kind], times: dict[str, int]) -> list[str]:
    """What was closed at the wrong time, and how long others waited."""
    is_secure = not kinds[0].name.startswith("HTTP/1.1")
    options = [word for name, seconds in times.items() for word in (f"--{name}-timeout", f"{seconds}s")]
    secure = ["--tls-self-signed"] if is_secure else []
    with closing(blobd, folder, *options, "--log-level", "error", *secure) as server:
        # A process of its own, which waits for nobody here; made before there are threads.
        is_over, slowest = multiprocessing.Event(), multiprocessing.Queue()
        probe = multiprocessing.Process(target=watch_others, args=(server.port, is_secure, is_over, slowest))
        probe.start()
        crowd = Crowd(server, times)
        crowd.start()
        for kind in kinds:
            for _ in range(CROWD):
                upload = appends.pop() if "body" in kind.name else Upload("", {})
                crowd.add(kind, kind.enter(server.port, path, upload))
        crowd.is_whole()
        crowd.join()
        is_over.set()
        p99 = slowest.get()
        probe.join()
    for name, took in crowd.took.items():
        print(f"slow clients, {name}: {len(took)} gone after {min(took):.1f} to {max(took):.1f} s", flush=True)
    print(f"slow clients, {len(kinds) * CROWD} of them: others' p99 {p99 * 1000:.1f} ms", flush=True)
    lost = len(kinds) * CROWD - sum(map(len, crowd.took.values()))
    return crowd.wrong[:10] + ([f"{lost} connections were not watched to their end"] if lost else []) + ([f"others waited for {p99:.3f} s"] if p99 > LATENCY_LIMIT else [])


def run(blobd: Path, times: dict[str, int] = SHORT) -> list[str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 10_000)), hard))
    with tempfile.TemporaryDirectory(prefix="blobd-hostile-") as name:
        folder = Path(name)
        path = publish(blobd, folder)[0]
        protocols = (http1(False), http1(True), HTTP2)
        appends = uploads(blobd, folder, CROWD * len(protocols))
        return [wrong for kinds in protocols for wrong in measure(blobd, folder, path, appends, kinds, times)]


run_with_defaults = functools.partial(run, times=DEFAULTS)
