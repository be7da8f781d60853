"""Work: over a path of so many milliseconds, HTTP/2 beside HTTP/1.1, both over TLS, by curl."""

import collections
import contextlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

from .bench import Bench, say
from .load import LoadFailed, Sample
from .report import Case, Goal, Row, size_text
from .servers import Blobd
from .usage import cpu_seconds, machine_busy_seconds

MIB = 1 << 20
ROUND_TRIPS = (10, 50, 200)  # milliseconds
STREAMS = (1, 8)
HTTP1, HTTP2 = "HTTP/1.1", "HTTP/2"
VERSIONS = {HTTP2: "--http2", HTTP1: "--http1.1"}


class LongWay:
    """Passes every byte on after half a round trip, however many are under way. A context manager."""

    def __init__(self, to: int, round_trip: float):
        self._to, self._delay = to, round_trip / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._to))
                for one, other in ((client, server), (server, client)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._pass_on(one, other)

    def _pass_on(self, one: socket.socket, other: socket.socket):
        under_way: collections.deque[tuple[float, bytes]] = collections.deque()
        arrived = threading.Semaphore(0)

        def take():
            data = b"-"
            while data:
                try:
                    data = one.recv(4 * MIB)
                except OSError:
                    data = b""
                under_way.append((time.monotonic() + self._delay, data))
                arrived.release()

        def give():
            with contextlib.suppress(OSError):
                while True:
                    arrived.acquire()
                    due, data = under_way.popleft()
                    time.sleep(max(0.0, due - time.monotonic()))
                    if not data:
                        other.shutdown(socket.SHUT_WR)
                        return
                    other.sendall(data)

        for work in (take, give):
            threading.Thread(target=work, daemon=True).start()


class SecureBlobd(Blobd):
    """With a certificate of its own making."""

    def launch(self):
        self._serve("--tls-self-signed")

    def curl(self, version: str) -> list[str]:
        return ["curl", "-fsS", VERSIONS[version], "--cacert", str(self.data / "tls/certificate.pem")]

    def begin(self, port: int) -> tuple[str, str]:
        """The path of a new upload, and its token."""
        told = "%header{portsip-upload-id} %header{portsip-upload-token}"
        done = subprocess.run(
            [*self.curl(HTTP1), "-X", "POST", "-H", *self.headers, "-o", "/dev/null", "-w", told,
             f"https://127.0.0.1:{port}/api/blobs/uploads"], check=True, capture_output=True, text=True)
        name, token = done.stdout.split()
        return f"https://127.0.0.1:{port}/api/blobs/uploads/{name}", token


def long_way(bench: Bench) -> list[Row]:
    """Uploads and downloads, one and several at a time on one connection of HTTP/2."""
    size = bench.size(64 * MIB, 4 * MIB)
    file = bench.scratch / "long-way"
    file.write_bytes(os.urandom(size))
    rows = []
    for milliseconds in ROUND_TRIPS:
        for streams in STREAMS:
            for action, transfer in (("append", _append), ("download", _download)):
                text = f"{action} {streams} × {size_text(size)} over {milliseconds} ms"
                case = Case(text, HTTP2, per_gib=True, goals=[Goal(HTTP1, 0.8, by_rate=True)])
                for number in range(bench.rounds):
                    for version in (HTTP1, HTTP2) if number % 2 else (HTTP2, HTTP1):
                        sample = _measure(bench, transfer, file, version, streams, milliseconds / 1000)
                        case.add(version, sample)
                        say(f"  {text}, round {number + 1}, {version}: {sample.seconds:.2f} s")
                case.order([HTTP2, HTTP1])
                rows += case.rows()
    file.unlink()
    return rows


def _measure(bench: Bench, transfer, file: Path, version: str, streams: int, round_trip: float) -> Sample:
    server = SecureBlobd(str(bench.blobd))
    with server.running(bench.scratch), LongWay(server.port, round_trip) as way:
        command = transfer(server, way.port, file, version, streams)
        os.sync()
        busy, served, started = machine_busy_seconds(), cpu_seconds(server.process.pid), time.monotonic()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seconds = time.monotonic() - started
        if done.returncode != 0:
            raise LoadFailed(f"curl ended with {done.returncode}: {done.stderr[-500:]}")
        served = cpu_seconds(server.process.pid) - served
    # curl and the proxy are a part of this: the work of other processes cannot be told apart.
    others = max(0.0, machine_busy_seconds() - busy - served) / (seconds * (os.cpu_count() or 1))
    bench.shares_of_others.append(0)
    return Sample(cpu=served, jobs=streams, bytes=streams * file.stat().st_size, seconds=seconds, p99=0, others=others)


def _together(server: SecureBlobd, version: str, transfers: list[list[str]]) -> list[str]:
    """One curl for all: with HTTP/2 on one connection, with HTTP/1.1 on one for each."""
    words = server.curl(version)
    command = [words[0], "--parallel", "--parallel-max", str(len(transfers))]
    for number, transfer in enumerate(transfers):
        command += (["--next"] if number else []) + words[1:] + transfer
    return command


def _append(server: SecureBlobd, port: int, file: Path, version: str, streams: int) -> list[str]:
    uploads = [server.begin(port) for _ in range(streams)]
    return _together(server, version, [
        ["-X", "POST", "-H", server.headers[0], "-H", f"PortSIP-Upload-Token: {token}", "-H",
         "Content-Type: application/octet-stream", "-T", str(file), "-o", "/dev/null", f"{path}/append"]
        for path, token in uploads])


def _download(server: SecureBlobd, port: int, file: Path, version: str, streams: int) -> list[str]:
    path, token = server.begin(server.port)
    done = subprocess.run(
        [*server.curl(HTTP1), "-X", "POST", "-H", server.headers[0], "-H", f"PortSIP-Upload-Token: {token}", "-T",
         str(file), f"{path}/complete"], check=True, capture_output=True, text=True)
    digest = done.stdout.split('"digest":"')[1].split('"')[0]
    url = f"https://127.0.0.1:{port}/api/blobs/{digest}"
    return _together(server, version, [["-o", "/dev/null", url]] * streams)
