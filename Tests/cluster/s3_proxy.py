"""A proxy between the nodes and the S3 store that makes chosen calls fail, each in one of the ways in which networks and
stores fail.

Requests are signed together with their Host header, which is passed on as it came: to the store, the proxy's address is
one more name of its own.
"""

import collections
import contextlib
import enum
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from harness.process import free_ports

CHUNK = 1 << 16
HANG = 150.0  # seconds for which an answer is withheld, unless its reader goes away before: longer than anybody waits
SLOW_RATE = 256 << 10  # bytes per second
LISTED_TIME = re.compile(rb"(<(?:LastModified|Initiated)>)\d{4}")


class Operation(enum.Enum):
    PUT = "PutObject"
    GET = "GetObject"
    HEAD = "HeadObject"
    HEAD_BUCKET = "HeadBucket"
    DELETE = "DeleteObject"
    DELETE_MANY = "DeleteObjects"
    LIST = "ListObjects"
    LIST_UPLOADS = "ListMultipartUploads"
    LIST_PARTS = "ListParts"
    CREATE = "CreateMultipartUpload"
    PART = "UploadPart"
    COPY_PART = "UploadPartCopy"
    COMPLETE = "CompleteMultipartUpload"
    ABORT = "AbortMultipartUpload"


class Kind(enum.Enum):
    """How a call fails."""

    INTERNAL_ERROR = "500"
    SLOW_DOWN = "503"
    FALSE_OK = "200 with an error in its body"
    CUT_BEFORE = "cut before the request"
    CUT_REQUEST = "cut in the request"
    CUT_REPLY = "cut in the reply"
    CUT_AFTER = "done, and cut without a reply"
    SILENT = "done, and no reply comes"
    SLOW = "slow reply"

    @property
    def is_answered_here(self) -> bool:
        return self in (Kind.INTERNAL_ERROR, Kind.SLOW_DOWN, Kind.FALSE_OK)


@dataclass
class Fault:
    """The fault for the next call of an operation, and for its repetitions: `times` calls for one key."""

    operation: Operation
    kind: Kind
    times: int = 1
    key: str = ""  # of the first call that it met
    begun: threading.Event = field(default_factory=threading.Event)


class Cut(Exception):
    """The connection is to be broken."""


@dataclass(frozen=True)
class Head:
    """The first lines of a request or a reply, as they came."""

    raw: bytes

    @property
    def first(self) -> list[str]:
        return self.raw.split(b"\r\n", 1)[0].decode("latin-1").split(" ")

    def header(self, name: str) -> str:
        found = re.search(rb"\r\n" + name.encode() + rb": *([^\r]*)\r\n", self.raw, re.IGNORECASE)
        return found[1].decode("latin-1") if found else ""

    @property
    def length(self) -> int:
        return int(self.header("content-length") or 0)


def operation(request: Head) -> tuple[Operation, str]:
    """A request's operation and key; the bucket's name is the first part of the path."""
    method, target = request.first[0], urlsplit(request.first[1])
    query = parse_qs(target.query, keep_blank_values=True)
    key = target.path.lstrip("/").partition("/")[2]
    match method:
        case "PUT" if "partNumber" in query:
            return (Operation.COPY_PART if request.header("x-amz-copy-source") else Operation.PART), key
        case "PUT":
            return Operation.PUT, key
        case "HEAD":
            return (Operation.HEAD if key else Operation.HEAD_BUCKET), key
        case "DELETE":
            return (Operation.ABORT if "uploadId" in query else Operation.DELETE), key
        case "POST" if "delete" in query:
            return Operation.DELETE_MANY, key
        case "POST":
            return (Operation.CREATE if "uploads" in query else Operation.COMPLETE), key
        case "GET" if not key:
            return (Operation.LIST_UPLOADS if "uploads" in query else Operation.LIST), key
        case "GET":
            return (Operation.LIST_PARTS if "uploadId" in query else Operation.GET), key
    raise ValueError(f"an unknown request: {request.first}")


class Proxy:
    """Listens on a port of its own; `calls` and `injected` count."""

    def __init__(self, store: int):
        self._store = store
        self.port = free_ports(1)[0]
        self.calls: collections.Counter[Operation] = collections.Counter()
        self.injected: collections.Counter[tuple[Operation, Kind]] = collections.Counter()
        self.ages_lists = False  # whether everything that is listed seems to be ten years old
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.come_back()

    def arm(self, fault: Fault):
        with self._lock:
            self._faults.append(fault)

    def disarm(self):
        with self._lock:
            self._faults.clear()

    def go_away(self):
        """New connections are refused, and open ones end."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def come_back(self):
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with client.makefile("rb") as reader:
                while request := read_head(reader):
                    self._handle(request, reader, client)
        except Cut:
            # A reset, as from a machine that went away, and not the end of a stream.
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(client)
            client.close()

    def _take(self, request: Head) -> tuple[Operation, Kind | None]:
        """The fault for this call."""
        what, key = operation(request)
        with self._lock:
            self.calls[what] += 1
            for fault in self._faults:
                if fault.operation is not what or fault.begun.is_set() and fault.key != key:
                    continue
                fault.key = key
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
                self.injected[what, fault.kind] += 1
                fault.begun.set()
                return what, fault.kind
        return what, None

    def _handle(self, request: Head, reader, client: socket.socket):
        what, kind = self._take(request)
        if kind is Kind.CUT_BEFORE:
            raise Cut
        if kind and kind.is_answered_here:
            drop(reader, request.length)
            client.sendall(refusal(kind, has_body=request.first[0] != "HEAD"))
            return
        with socket.create_connection(("127.0.0.1", self._store), HANG) as store:
            store.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if kind is Kind.CUT_REQUEST:
                store.sendall(request.raw if request.length else request.raw[:len(request.raw) // 2])
                relay(reader, store, request.length // 2)
                raise Cut
            store.sendall(request.raw)
            relay(reader, store, request.length)
            with store.makefile("rb") as answers:
                reply = read_head(answers)
                while reply and reply.first[1] == "100":
                    reply = read_head(answers)
                if not reply:
                    raise Cut
                self._pass_on(what, kind, reply, answers, client, has_body=request.first[0] != "HEAD")

    def _pass_on(self, what: Operation, kind: Kind | None, reply: Head, answers, client: socket.socket,
                 has_body: bool):
        length = reply.length if has_body and reply.first[1] not in ("204", "304") else 0
        is_chunked = reply.header("transfer-encoding").lower() == "chunked"
        if kind in (Kind.SILENT, Kind.CUT_AFTER):
            drop(answers, length)
            if kind is Kind.SILENT:
                client.settimeout(HANG)
                client.recv(1)
            raise Cut
        if is_chunked or what in (Operation.LIST, Operation.LIST_UPLOADS):
            body = read_chunks(answers) if is_chunked else answers.read(length)
            if self.ages_lists:
                body = LISTED_TIME.sub(rb"\g<1>2015", body)
            reply, length = with_length(reply, len(body)), len(body)
            answers = Rest(body)
        if kind is Kind.CUT_REPLY:
            client.sendall(reply.raw if length else reply.raw[:len(reply.raw) // 2])
            relay(answers, client, length // 2)
            raise Cut
        client.sendall(reply.raw)
        relay(answers, client, length, SLOW_RATE if kind is Kind.SLOW else None)


class Rest:
    """Bytes that were read already, to be read like a stream."""

    def __init__(self, body: bytes):
        self._body = memoryview(body)

    def read(self, count: int) -> memoryview:
        part, self._body = self._body[:count], self._body[count:]
        return part


def read_head(reader) -> Head | None:
    lines = []
    while line := reader.readline(CHUNK):
        lines.append(line)
        if line == b"\r\n":
            return Head(b"".join(lines))
    return None


def read_chunks(reader) -> bytes:
    parts = []
    while size := int(reader.readline(CHUNK).split(b";")[0], 16):
        parts.append(reader.read(size))
        reader.readline()
    while reader.readline(CHUNK) not in (b"\r\n", b""):
        pass
    return b"".join(parts)


def with_length(reply: Head, length: int) -> Head:
    kept = [line for line in reply.raw[:-4].split(b"\r\n")
            if not line.lower().startswith((b"transfer-encoding:", b"content-length:"))]
    return Head(b"\r\n".join([*kept, b"Content-Length: %d" % length, b"", b""]))


def relay(reader, to: socket.socket, count: int, rate: int | None = None):
    """Passes on so many bytes as they come."""
    while count > 0:
        part = reader.read(min(count, CHUNK if rate is None else rate // 10))
        if not part:
            raise Cut
        to.sendall(part)
        count -= len(part)
        if rate is not None:
            time.sleep(0.1)


def drop(reader, count: int):
    while count > 0 and (part := reader.read(min(count, CHUNK))):
        count -= len(part)


def refusal(kind: Kind, has_body: bool) -> bytes:
    status, code = {
        Kind.INTERNAL_ERROR: ("500 Internal Server Error", "InternalError"),
        Kind.SLOW_DOWN: ("503 Slow Down", "SlowDown"),
        Kind.FALSE_OK: ("200 OK", "InternalError"),
    }[kind]
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>No.</Message></Error>'.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return head + (body if has_body else b"")
