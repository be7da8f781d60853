"""Connections in every state that one can be in, and left there: each is closed in its time, and none before."""

import contextlib
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import http2
from harness.blobd import Server
from stalled import closing, get, opened, publish

TIMES = {"header": 3, "send": 5, "idle": 7}  # seconds
GRACE = 1.5  # seconds; TLS may take half of one to say goodbye
MANY = 300  # more than SwiftNIO takes of such frames in 30 s

POST = b"POST /api/blobs/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"


@dataclass(frozen=True)
class State:
    name: str
    time: str  # what it is closed by; empty for an error of the connection
    is_secure: bool
    enter: Callable[[int, list[str]], socket.socket]  # port, paths of a large blob and of a small one


def sent(*pieces: bytes, secured: bool = False) -> Callable[[int, list[str]], socket.socket]:
    """A connection of HTTP/1.1 on which this was sent."""
    def enter(port: int, paths: list[str]) -> socket.socket:
        connection = http2.secured(opened(port), "http/1.1") if secured else opened(port)
        for piece in pieces:
            connection.sendall(piece.replace(b"LARGE", paths[0].encode()).replace(b"SMALL", paths[1].encode()))
        return connection
    return enter


def framed(*frames: bytes, window: int = 65535) -> Callable[[int, list[str]], socket.socket]:
    def enter(port: int, paths: list[str]) -> socket.socket:
        connection = http2.greeted(opened(port), initial_window_size=window)
        with contextlib.suppress(OSError):  # the server may have had enough
            for frame in frames:
                connection.sendall(frame)
        return connection
    return enter


def asked(window: int) -> Callable[[int, list[str]], socket.socket]:
    def enter(port: int, paths: list[str]) -> socket.socket:
        connection = http2.greeted(opened(port), initial_window_size=window)
        connection.sendall(http2.request(1, paths[0]))
        return connection
    return enter


def bare(port: int, paths: list[str]) -> socket.socket:
    return http2.secured(opened(port), "h2")


def mistaken(port: int, paths: list[str]) -> socket.socket:
    connection = bare(port, paths)
    connection.sendall(get("/"))
    return connection


def resets() -> list[bytes]:
    return [frame for stream in range(1, 2 * MANY, 2) for frame in (
        http2.request(stream, "/health"), http2.frame(http2.RST_STREAM, stream, struct.pack(">I", 8)))]


BODY = {":method": "POST", ":scheme": "https", ":authority": "a", ":path": "/api/blobs/uploads", "content-length": "1000"}
OPEN = http2.frame(http2.HEADERS, 1, b"".join(http2.literal(*field) for field in BODY.items()), http2.END_HEADERS)

STATES = [
    State("silent", "idle", False, sent()),
    State("a byte of a head", "header", False, sent(b"G")),
    State("half a head", "header", False, sent(b"GET / HTTP/1.1\r\nHost: a\r\n")),
    State("empty lines", "idle", False, sent(b"\r\n" * 20)),
    State("a body that does not come, refused", "header", False, sent(POST + b"\r\n")),
    State("after an answer", "idle", False, sent(get("/health"))),
    State("half a head after an answer", "header", False, sent(get("/health") + b"GET / HT")),
    State("an answer that is not read", "send", False, sent(get("LARGE"))),
    State("answers that are not read", "send", False, sent(get("SMALL") * 200)),
    State("after a refusal", "header", False, sent(b"nonsense\r\n\r\n")),
    State("no handshake", "header", True, lambda port, paths: opened(port)),
    State("half a handshake", "header", True, sent(b"\x16\x03\x01\x02\x00\x01\x00")),
    State("TLS: silent", "idle", True, sent(secured=True)),
    State("TLS: half a head", "header", True, sent(b"GET / HTTP/1.1\r\nHost: a\r\n", secured=True)),
    State("TLS: after an answer", "idle", True, sent(get("/health"), secured=True)),
    State("TLS: an answer that is not read", "send", True, sent(get("LARGE"), secured=True)),
    State("HTTP/2: no preface", "idle", True, bare),
    State("HTTP/2: silent", "idle", True, framed()),
    State("HTTP/2: half a frame", "idle", True, framed(b"\0\0\x40\x01")),
    State("HTTP/2: half a head", "idle", True, framed(http2.frame(http2.HEADERS, 1, http2.literal("a", "b")))),
    State("HTTP/2: after an answer", "idle", True, framed(http2.request(1, "/health"))),
    State("HTTP/2: a body that does not come, refused", "idle", True, framed(OPEN)),
    State("HTTP/2: a closed window", "send idle", True, asked(0)),
    State("HTTP/2: a window that is used up", "send idle", True, asked(1000)),
    State("HTTP/2: after the client's GOAWAY", "idle", True, framed(
        http2.request(1, "/health"), http2.frame(http2.GOAWAY, 0, struct.pack(">II", 0, 0)))),
    State("HTTP/2: rapid reset", "", True, framed(*resets())),
    State("HTTP/2: pings", "", True, framed(*[http2.frame(http2.PING, 0, b"12345678")] * MANY)),
    State("HTTP/2: settings", "", True, framed(*[http2.settings(initial_window_size=9)] * MANY)),
    State("HTTP/2: a stream of the server's", "", True, framed(http2.request(2, "/health"))),
    State("HTTP/2: a frame that is too large", "", True, framed(b"\xff\xff\xff\x00\0\0\0\0\1")),
    State("HTTP/2: a window of more than 2 GiB", "", True, framed(
        http2.frame(http2.WINDOW_UPDATE, 0, struct.pack(">I", 0x7fffffff)))),
    State("HTTP/2: no field of the table", "", True, framed(http2.frame(http2.HEADERS, 1, b"\xff\xff\x7f", 5))),
    State("HTTP/2: settings of the wrong size", "", True, framed(http2.frame(http2.SETTINGS, 0, b"12345"))),
    State("HTTP/2: another preface", "", True, mistaken),
]


def clients(server: Server) -> set[int]:
    """The ports of the clients whose connections the server has open."""
    links = []
    for entry in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            links.append(entry.readlink().name)
    held = {name.removeprefix("socket:[").removesuffix("]") for name in links}
    lines = [line.split() for line in Path(f"/proc/{server.pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(words[2].split(":")[1], 16) for words in lines if words[9] in held and words[3] != "0A"}


def watch(server: Server, paths: list[str], states: list[State]) -> list[str]:
    """What was closed at the wrong time."""
    waiting: dict[int, tuple[State, socket.socket, float]] = {}
    for state in states:
        connection = state.enter(server.port, paths)
        waiting[connection.getsockname()[1]] = (state, connection, time.monotonic())
    wrong = []
    seen: set[int] = set()
    while waiting:
        still = clients(server)
        seen |= still
        for port, (state, connection, begin) in list(waiting.items()):
            due = sum(TIMES[word] for word in state.time.split())
            took = time.monotonic() - begin
            # The server takes a connection when it comes to it.
            if port in still and took < due + GRACE or port not in seen and took < GRACE:
                continue
            if port in still or took < due - GRACE:
                wrong.append(f"{state.name}: {'open' if port in still else 'closed'} after {took:.1f} s instead of {due} s")
            connection.close()
            del waiting[port]
        time.sleep(0.05)
    return wrong


def stop(server: Server, paths: list[str], states: list[State]) -> list[str]:
    """What keeps a server from stopping."""
    connections = [state.enter(server.port, paths) for state in states]
    begin = time.monotonic()
    server.stop()
    took = time.monotonic() - begin
    for connection in connections:
        connection.close()
    return [f"a stop took {took:.1f} s"] if took > max(TIMES.values()) + GRACE else []


def run(blobd: Path) -> list[str]:
    options = [word for name, seconds in TIMES.items() for word in (f"--{name}-timeout", f"{seconds}s")]
    wrong = []
    with tempfile.TemporaryDirectory(prefix="blobd-hostile-") as name:
        large, _, small, *_ = publish(blobd, Path(name))
        for is_secure in (False, True):
            states = [state for state in STATES if state.is_secure == is_secure]
            with closing(blobd, Path(name), *options, *(["--tls-self-signed"] if is_secure else [])) as server:
                found = watch(server, [large, small], states) + stop(server, [large, small], states)
            print(f"timers: {len(states)} states{' over TLS' if is_secure else ''}, {len(found)} closed at the wrong time",
                  flush=True)
            wrong += found
    return wrong
