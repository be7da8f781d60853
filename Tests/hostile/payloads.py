"""Requests as bytes, most of which no client would send: what each is answered, and that none takes another's answer.

`payloads.table` has a row for each. Behind its bytes, and in the same write, goes a request that is all right; whatever the
first ones did, that one has its own answer, or the connection has ended. Then a new connection has to be served as well:
behind a proxy it shares the proxy's connection to the server.
"""

import contextlib
import itertools
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.blobd import Server
from harness.client import Uploader
from harness.connection import Connection
from harness.ledger import Promise
from harness.process import Process, free_ports
from stalled import closing

TABLE = Path(__file__).with_name("payloads.table")
PATIENCE = 5  # seconds without a byte, after which an answer does not come
BODILESS = (204, 304)
SHORT = {
    "$OTHER": "GET /openapi.json HTTP/1.1¶Host: a¶¶",  # within other requests: nothing may answer it
    "$AUTH": "Host: a¶Authorization: Bearer $TOKEN¶PortSIP-Upload-Token: $SECRET",
}
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "s": " ", "\\": "\\"}

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log error;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    upstream blobd {{ server 127.0.0.1:{server}; keepalive 1; }}
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://blobd; }} }}
}}
"""
HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    http-reuse always
frontend clients
    bind 127.0.0.1:{port}
    default_backend blobd
backend blobd
    server blobd 127.0.0.1:{server}
"""


@dataclass(frozen=True)
class Row:
    line: int
    outcomes: list[str]  # of each way; of the server itself first
    payload: str


def rows(table: Path, ways: int) -> list[Row]:
    lines = enumerate(table.read_text().splitlines(), 1)
    words = ((number, line.split(maxsplit=ways)) for number, line in lines if line and line[0] not in "#[")
    return [Row(number, outcomes, payload) for number, (*outcomes, payload) in words]


def repeated(text: str) -> str:
    """`{WORD*COUNT}` written out, from the inside."""
    while (changed := re.sub(r"\{([^{}]*)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)) != text:
        text = changed
    return text


def unescaped(text: str) -> bytes:
    text = text.replace("¶", "\r\n")
    return re.sub(r"\\(x..|.)", lambda match: ESCAPES.get(match[1]) or chr(int(match[1][1:], 16)), text).encode("latin-1")


class Answers:
    """The answers on a connection, one after the other."""

    def __init__(self, connection: socket.socket):
        self._lines = connection.makefile("rb")

    def next(self, is_head: bool = False) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers by names in small letters, and body; None where the connection has ended."""
        with contextlib.suppress(ConnectionError):
            if not (line := self._lines.readline(1 << 16)):
                return None
            status = int(line.split()[1])
            headers = {}
            while (line := self._lines.readline(1 << 16)) not in (b"\r\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            length = 0 if is_head or status < 200 or status in BODILESS else int(headers.get("content-length", -1))
            return status, headers, self._lines.read(length)
        return None


class World:
    """A server with something to ask for, as clients see it by one way."""

    def __init__(self, server: Server, port: int, blob: str, content: bytes, connect: type[Connection] = Connection):
        self.server, self.port, self.blob, self.content, self._connect = server, port, blob, content, connect
        self._numbers = itertools.count()

    def played(self, row: Row, expected: str) -> str:
        """What became of a payload, in the words of the table."""
        with self.written_out(row.payload, SHORT) as text:
            payload = unescaped(text)
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                outcome = self._outcome(connection, payload, "h" in expected)
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            if (after := self._outcome(connection, b"", False)):
                return f"{outcome}, and {after} on a new connection"
        return outcome

    def _outcome(self, connection: socket.socket, payload: bytes, is_head: bool) -> str:
        name = f"canary-{next(self._numbers)}"
        with contextlib.suppress(ConnectionError):  # it has had enough; its answer may be there
            connection.sendall(payload + f"GET {self.blob} HTTP/1.1\r\nHost: a\r\nX-Request-ID: {name}\r\n\r\n".encode())
        answers, found = Answers(connection), []
        try:
            while answer := answers.next(is_head):
                status, headers, body = answer
                if headers.get("x-request-id") == name:
                    return ",".join(found) + ("" if (status, body) == (200, self.content) else f",wrong {status} {body[:100]}")
                offset = f"@{headers['upload-offset']}" if status == 203 else ""
                found.append(f"{status}{offset}{'h' if is_head else ''}")
                is_head = False
        except ValueError:  # HTTP/0.9, or HTTP/2
            return ",".join([*found, "?"])
        except TimeoutError:
            return ",".join(found) + ",silence"
        return ",".join(found) + "!"

    @contextlib.contextmanager
    def written_out(self, payload: str, short: dict[str, str]) -> Iterator[str]:
        """With the server's words in it, for as long as they hold: those of an upload, for one."""
        for word, text in short.items():
            payload = payload.replace(word, text)
        words = {"$BLOB": self.blob, "$TOKEN": self.server.token, "$SECRET": "none", "$APPEND": "none"}
        client = None
        if "$APPEND" in payload:
            client = Uploader(self._connect(self.server), Promise("payload", "payload", 0), lambda *_: None)
            client.start()
            words |= {"$APPEND": f"/api/blobs/uploads/{client.promise.id}/append", "$SECRET": client.promise.token}
        for word, text in words.items():
            payload = payload.replace(word, text)
        yield repeated(payload)
        if client:
            client.destroy()

    def others_answered(self) -> int:
        """How often the server has answered what is no request."""
        metrics = self._connect(self.server).ask("GET", "/metrics").body.decode()
        counts = re.findall(r'^blobd_http_requests_total\{.*route="openapi".* (\d+)', metrics, re.MULTILINE)
        return sum(map(int, counts))


def proxies(server: Server, folder: Path) -> Iterator[tuple[str, int, Process]]:
    ports = free_ports(2)
    for name, port, text in zip(("nginx", "haproxy"), ports, (NGINX, HAPROXY), strict=True):
        place = folder / name
        place.mkdir()
        file = place / "conf"
        file.write_text(text.format(folder=place, server=server.port, port=port))
        command = ["/usr/sbin/nginx", "-c", file, "-p", place, "-e", place / "error.log"] if name == "nginx" else [
            "/usr/sbin/haproxy", "-db", "-f", file]
        proxy = Process(command, folder / f"{name}.log")
        proxy.wait_until_it_listens(port)
        yield name, port, proxy


def judged(table: Path, rows: list[Row], play: Callable[[Row, str], str], way: int, name: str) -> list[str]:
    """The rows with another outcome than theirs."""
    wrong = []
    for row in rows:
        outcome = row.outcomes[way]
        if (found := play(row, outcome)) not in outcome.split("|"):
            wrong.append(f"{table.name}:{row.line}: {name}: {found} instead of {outcome}: {row.payload[:200]}")
    return wrong


def published(blobd: Path, folder: Path) -> tuple[str, bytes]:
    """A blob's path, and its bytes."""
    with closing(blobd, folder) as server:
        client = Uploader(Connection(server), Promise("canary", "canary", 100), lambda *_: None)
        client.start()
        client.complete(0)
        return f"/api/blobs/{client.promise.digest}", client.promise.content


def run(blobd: Path) -> list[str]:
    found = rows(TABLE, 3)
    with tempfile.TemporaryDirectory(prefix="blobd-hostile-") as name:
        folder = Path(name)
        canary = published(blobd, folder)
        with closing(blobd, folder) as server, contextlib.ExitStack() as started:
            world = World(server, server.port, *canary)
            wrong = judged(TABLE, found, world.played, 0, "the server")
            for way, (proxy, port, process) in enumerate(proxies(server, folder), 1):
                started.callback(process.stop)
                wrong += judged(TABLE, found, World(server, port, *canary).played, way, f"behind {proxy}")
            if count := world.others_answered():
                wrong.append(f"{count} requests were answered that were none")
    print(f"payloads: {len(found)} rows in 3 ways, {len(wrong)} with another outcome", flush=True)
    return wrong
