"""What one client costs an event loop: headers at their limits, with the contents that cost most, and thousands of requests
in one piece. Others must notice nothing of it."""

import contextlib
import itertools
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import http2
from harness.blobd import Server
from stalled import Failed, closing, publish

LONGEST = 8100  # bytes of a value, so that its line is within the 8 KiB that a line may have
LINES = 5  # of that length, of one name: all that a head takes
FEW = 5  # requests that are measured together
ROUNDS = 2, 8  # of them; the least counts. More where it seems too much
MOST = 50e-6  # seconds of the processor that a header may cost
SLOW = 160e-6  # where any header of that length costs more than this, the build is no release, and
TIMES_ANY = 2  # so many times as much is the limit, and of a target's only line as much as of
LINES_ANY = 3e-3  # seconds
LATENCY_LIMIT = 0.1  # seconds, of 99 in 100 requests of others, where the build is a release
ATTACK = 2.0  # seconds
CONTENTS = {
    "commas": ",", "members": "a,", "tags": '"a",', "blanks": "a  ", "digits": "9", "marks": "\u0301", "U+0601": "\u0601,",
    "flags": "\U0001F1E9", "pairs": "a=%41&",
}
PREFIXES = {
    "Range": ["", "bytes=", "bytes=-"], "Content-Range": ["bytes "], "Authorization": ["", "Bearer "], "Content-Type": [""],
    "If-Range": ['"'], "If-None-Match": ["", 'W/"'], "If-Match": [""], "Connection": [""], "Expect": [""], "X-Request-ID": [""],
    "Cookie": [""], "traceparent": ["00-"], "Upgrade": [""],
}


def written(first_line: str, *fields: tuple[str, str]) -> bytes:
    lines = [first_line, "Host: a", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "\r\n"]).encode()


def filled(prefix: str, content: str, length: int = LONGEST) -> str:
    return prefix + content * ((length - len(prefix.encode())) // len(content.encode()))


class Client:
    """A connection that is made anew when it ended."""

    def __init__(self, port: int):
        self._port, self._connection = port, None

    def ask(self, request: bytes, count: int = 1):
        if not self._connection:
            self._connection = socket.create_connection(("127.0.0.1", self._port), 30)
            self._answers = self._connection.makefile("rb")
        self._connection.sendall(request * count)
        for _ in range(count):
            length, ends = 0, False
            while (line := self._answers.readline().lower()) != b"\r\n":
                if not line:
                    raise Failed("a connection ended instead of an answer")
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
                ends |= line.startswith(b"connection: close")
            self._answers.read(length)
            if ends:
                self.close()
                return

    def close(self):
        if self._connection:
            self._answers.close()
            self._connection.close()
        self._connection = None


def processor_seconds(server: Server) -> float:
    total = 0
    for thread in Path(f"/proc/{server.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def cost(server: Server, client: Client, request: bytes, rounds: int = ROUNDS[0]) -> float:
    """Seconds of the processor, of each request; the least of some rounds."""
    found = []
    for _ in range(rounds):
        begin = processor_seconds(server)
        for _ in range(FEW):
            client.ask(request)
        found.append((processor_seconds(server) - begin) / FEW)
    return min(found)


def headers(path: str) -> Iterator[tuple[str, bytes, bytes]]:
    """A name, the request, and one of the same length with nothing that is looked at."""
    get, filler = f"GET {path} HTTP/1.1", [("X-Filler", "a" * LONGEST)] * LINES
    for field, prefixes in PREFIXES.items():
        line = "GET /api/files HTTP/1.1" if field == "Authorization" else get
        for prefix, (name, content) in itertools.product(prefixes, CONTENTS.items()):
            value = filled(prefix, content)
            yield f"{field}: {prefix}{name}", written(line, *[(field, value)] * LINES), written(line, (field, "a"), *filler)
    for name, content in CONTENTS.items():
        text = filled("", content).replace(" ", "+")
        yield f"query: {name}", written(f"GET {path}?{text} HTTP/1.1"), written(get, filler[0])
        yield f"path: {name}", written(f"GET /api/files/{text[:8000]} HTTP/1.1"), written("GET /api/files/a HTTP/1.1", filler[0])


def dear(server: Server, path: str) -> tuple[list[str], bool]:
    """Headers that cost too much, and whether the build is a release."""
    client, wrong, most = Client(server.port), [], 0.0
    first = next(headers(path))[2]
    known = {first: cost(server, client, first, ROUNDS[1])}
    is_release = known[first] < SLOW * LINES
    for name, request, harmless in headers(path):
        if harmless not in known:
            known[harmless] = cost(server, client, harmless)
        more = cost(server, client, request) - known[harmless]
        limit = MOST * LINES if is_release else TIMES_ANY * max(known[harmless], LINES_ANY)
        if more > limit:
            more = cost(server, client, request, ROUNDS[1]) - known[harmless]
        most = max(most, more)
        if more > limit:
            wrong.append(f"{name} costs {more * 1e6:.0f} µs, beside {known[harmless] * 1e6:.0f} µs of any other")
    client.close()
    print(f"headers at their limits: the dearest costs {most * 1e6:.0f} µs more than any, {known[first] * 1e6:.0f}, of a "
          f"build that is {'a' if is_release else 'no'} release", flush=True)
    return wrong, is_release


@dataclass(frozen=True)
class Attack:
    name: str
    is_secure: bool
    play: Callable[[int, str, threading.Event], None]  # port, path of a blob, when to stop


def pipelined(request: Callable[[str], bytes], count: int) -> Callable[[int, str, threading.Event], None]:
    def play(port: int, path: str, stop: threading.Event):
        client = Client(port)
        while not stop.is_set():
            client.ask(request(path), count)
        client.close()
    return play


def chunked(port: int, path: str, stop: threading.Event):
    """A body in chunks of one byte, without a token."""
    head = written("POST /api/blobs/uploads HTTP/1.1", ("Transfer-Encoding", "chunked"))
    while not stop.is_set():
        with socket.create_connection(("127.0.0.1", port), 30) as connection, contextlib.suppress(OSError):
            connection.sendall(head + b"1\r\na\r\n" * 100_000)
            connection.recv(1 << 16)


def repeated(port: int, path: str, stop: threading.Event):
    """Requests of a hundred bytes, each of which repeats a field of 4 KB from HTTP/2's table."""
    pseudo = {":method": "GET", ":scheme": "https", ":authority": "a", ":path": path}
    fields = b"".join(http2.literal(name, value) for name, value in pseudo.items())
    # Literal with incremental indexing (RFC 7541 §6.2.1): the first field of the table then.
    dear = b"\x40" + http2.literal("if-none-match", "a," * 1950)[1:]
    with (contextlib.suppress(OSError),  # it has had enough
          http2.greeted(socket.create_connection(("127.0.0.1", port), 30), initial_window_size=1 << 24) as connection):
        connection.sendall(http2.frame(http2.WINDOW_UPDATE, 0, (1 << 30).to_bytes(4, "big")))
        for stream in itertools.count(1, 2):
            if stop.is_set():
                return
            block = fields + (dear if stream == 1 else b"\xbe" * 3)
            connection.sendall(http2.frame(http2.HEADERS, stream, block, http2.END_STREAM | http2.END_HEADERS))
            while stream % 100 == 99 and (connection.pending() or select.select([connection], [], [], 0.01)[0]):
                connection.recv(1 << 16)


ATTACKS = [
    Attack("tags in pipelines", False, pipelined(
        lambda path: written(f"GET {path} HTTP/1.1", *[("If-None-Match", filled("", "a,"))] * 5), 30)),
    Attack("small requests in pipelines", False, pipelined(lambda path: written("GET /a HTTP/1.1"), 8000)),
    Attack("chunks of a byte", False, chunked),
    Attack("a field of HTTP/2's table", True, repeated),
]


def took(connection: socket.socket) -> float:
    """Seconds of another client's request."""
    begin = time.monotonic()
    connection.sendall(written("GET /health HTTP/1.1"))
    answer = b""
    while not answer.endswith(b"ok\n"):
        if not (part := connection.recv(1 << 16)):
            raise Failed("another client's connection ended")
        answer += part
    return time.monotonic() - begin


def delayed(server: Server, path: str, attack: Attack) -> list[str]:
    """Whether others wait."""
    stop = threading.Event()
    with socket.create_connection(("127.0.0.1", server.port), 30) as plain, (
            http2.secured(plain, "http/1.1") if attack.is_secure else plain) as other:
        at_rest = max(took(other) for _ in range(20))
        attackers = [threading.Thread(target=attack.play, args=[server.port, path, stop]) for _ in range(4)]
        for thread in attackers:
            thread.start()
        end, found = time.monotonic() + ATTACK, []
        while time.monotonic() < end:
            found.append(took(other))
            time.sleep(0.001)
        stop.set()
        for thread in attackers:
            thread.join()
    found.sort()
    p99 = found[len(found) * 99 // 100]
    figures = f"{attack.name}: p99 {p99 * 1000:.1f} ms, at most {found[-1] * 1000:.0f} ms, of {len(found)} requests of others"
    print(f"turns: {figures}; at rest, at most {at_rest * 1000:.1f} ms", flush=True)
    return [figures] if p99 > LATENCY_LIMIT else []


def run(blobd: Path) -> list[str]:
    """On a build that is no release only the cost of headers counts: what it is beside that of others holds there, too."""
    with tempfile.TemporaryDirectory(prefix="blobd-hostile-") as name:
        folder = Path(name)
        small = publish(blobd, folder)[-3]
        with closing(blobd, folder) as server:
            wrong, is_release = dear(server, small)
        for is_secure in (False, True) if is_release else ():
            with closing(blobd, folder, *(["--tls-self-signed"] if is_secure else [])) as server:
                wrong += [fault for attack in ATTACKS if attack.is_secure == is_secure
                          for fault in delayed(server, small, attack)]
        return wrong
