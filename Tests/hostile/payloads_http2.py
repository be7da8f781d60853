"""The same of HTTP/2 (`payloads-http2.table`): fields and bodies that are none, each on a stream beside one that is all right."""

import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import http2
from harness.connection import Connection
from payloads import PATIENCE, Row, World, judged, published, rows, unescaped
from stalled import closing

TABLE = Path(__file__).with_name("payloads-http2.table")
FIRST, SECOND = 1, 3  # the streams
SHORT = {
    "$GET": ":method: GET¶:scheme: https¶:authority: a¶:path: /health",
    "$POST": ":method: POST¶:scheme: https¶:authority: a¶:path: $APPEND¶authorization: Bearer $TOKEN¶"
             "portsip-upload-token: $SECRET",
}
STATIC = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}  # RFC 7541, A
LITERALS = (0x08, 0x18, 0x48)  # a value for the name `:status` of the static table
HUFFMAN = {f"{code:05b}": str(code) for code in range(3)} | {f"{0b011001 + digit - 3:06b}": str(digit) for digit in range(3, 10)}


class Secured(Connection):
    def _opened(self) -> socket.socket:
        return http2.secured(super()._opened(), "http/1.1")


def block(text: str) -> bytes:
    """`name: value` lines as fields; a name may begin with a colon."""
    fields = b""
    for line in filter(None, text.split("¶")):
        name, _, value = line[1:].partition(":")
        fields += http2.literal(unescaped(line[0] + name), unescaped(value.removeprefix(" ")))
    return fields


def framed(payload: str) -> bytes:
    """Fields, a body and trailers, parted by empty lines, as frames; the last of them ends the stream."""
    parts = payload.split("¶¶")
    frames = []
    for number, part in enumerate(parts):
        kind = http2.DATA if number == 1 else http2.HEADERS
        end = http2.END_STREAM if number == len(parts) - 1 else 0
        content = unescaped(part) if kind == http2.DATA else block(part)
        frames.append((kind, content, end | (http2.END_HEADERS if kind == http2.HEADERS else 0)))
    return b"".join(http2.frame(kind, FIRST, content, flags) for kind, content, flags in frames)


def status(content: bytes) -> str:
    """Of an answer's fields, the first of which it is."""
    if content[0] >= 0x80:
        return STATIC[content[0] & 0x7F]
    if content[0] not in LITERALS:
        raise ValueError(f"an answer that begins with {content[:8].hex()}")
    length = content[1] & 0x7F
    value = content[2:2 + length]
    if content[1] < 0x80:
        return value.decode()
    bits, digits = "".join(f"{byte:08b}" for byte in value), ""
    while len(digits) < 3:
        width = 5 if bits[:5] in HUFFMAN else 6
        digits, bits = digits + HUFFMAN[bits[:width]], bits[width:]
    return digits


def frames(connection: socket.socket) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and content, as long as there are any."""
    with connection.makefile("rb") as file:
        try:
            while len(head := file.read(9)) == 9:
                length = int.from_bytes(head[:3], "big")
                yield head[3], head[4], int.from_bytes(head[5:9], "big"), file.read(length)
        except (ConnectionError, TimeoutError):
            return


def played(world: World, row: Row) -> str:
    """What became of the first stream; `!` where the connection ended before the second one was answered."""
    with (world.written_out(row.payload, SHORT) as payload,
          http2.greeted(socket.create_connection(("127.0.0.1", world.port), PATIENCE)) as connection):
        connection.sendall(framed(payload) + http2.request(SECOND, world.blob))
        return outcome(connection, world.content)


def outcome(connection: socket.socket, expected: bytes) -> str:
    found, content, is_whole = "", b"", False
    for kind, flags, stream, part in frames(connection):
        if stream == FIRST and not found and kind in (http2.HEADERS, http2.RST_STREAM):
            found = status(part) if kind == http2.HEADERS else "reset"
        if kind == http2.GOAWAY and struct.unpack(">I", part[4:8])[0]:
            break
        if stream == SECOND:
            content += part if kind == http2.DATA else b""
            is_whole |= bool(flags & http2.END_STREAM)
        if found and is_whole:
            return found if content == expected else f"{found}, and the wrong bytes for another"
    return f"{found}!"


def run(blobd: Path) -> list[str]:
    found = rows(TABLE, 1)
    with tempfile.TemporaryDirectory(prefix="blobd-hostile-") as name:
        canary = published(blobd, Path(name))
        with closing(blobd, Path(name), "--tls-self-signed") as server:
            world = World(server, server.port, *canary, connect=Secured)
            wrong = judged(TABLE, found, lambda row, _: played(world, row), 0, "the server")
    print(f"payloads of HTTP/2: {len(found)} rows, {len(wrong)} with another outcome", flush=True)
    return wrong
