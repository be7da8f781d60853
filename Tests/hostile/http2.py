"""HTTP/2 frame by frame (RFC 9113), for clients that no library would make."""

import functools
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(**values: int) -> bytes:
    names = {"initial_window_size": INITIAL_WINDOW_SIZE}
    return frame(SETTINGS, 0, b"".join(struct.pack(">HI", names[name], value) for name, value in values.items()))


def literal(name: str | bytes, value: str | bytes) -> bytes:
    """A field that no table holds (RFC 7541 §6.2.2)."""
    def text(word: str | bytes) -> bytes:
        encoded = word.encode() if isinstance(word, str) else word
        count = len(encoded)
        if count < 127:
            return bytes([count]) + encoded
        rest, digits = count - 127, [127]
        while rest >= 128:
            digits.append(rest % 128 | 128)
            rest //= 128
        return bytes([*digits, rest]) + encoded
    return b"\0" + text(name) + text(value)


def request(stream: int, path: str, method: str = "GET", fields: dict[str, str] | None = None) -> bytes:
    """A request without a body."""
    pseudo = {":method": method, ":scheme": "https", ":authority": "localhost", ":path": path}
    block = b"".join(literal(name, value) for name, value in (pseudo | (fields or {})).items())
    return frame(HEADERS, stream, block, END_STREAM | END_HEADERS)


def secured(connection: socket.socket, protocol: str) -> ssl.SSLSocket:
    """The same over TLS, for a protocol of ALPN."""
    return _context(protocol).wrap_socket(connection)


@functools.cache
def _context(protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


def greeted(connection: socket.socket, **values: int) -> ssl.SSLSocket:
    """A connection on which requests can be sent, with these settings of the client."""
    connection = secured(connection, "h2")
    connection.sendall(PREFACE + settings(**values))
    return connection
