"""Work 5: the server's resident memory, busy and by size of blob."""

import contextlib
import socket
import time

from .bench import Bench, say
from .report import GIB, Row, number, size_text, verdict
from .servers import Blobd, Registry, Server
from .usage import memory_mib

UPLOADS = 64
IDLE_CONNECTIONS = 1000
BUSY_LIMIT_MIB = 100
# "Flat" but for an allocator's chance: 16 times the bytes may not take more than a fifth more memory.
FLAT_LIMIT = 1.2


def memory(bench: Bench) -> list[Row]:
    """Memory is a bound, not a cost: each figure is the highest of one long run, and no median."""
    return _busy(bench) + _flatness(bench)


def _busy(bench: Bench) -> list[Row]:
    seconds = bench.size(12, 3)
    rows = []
    for server in bench.servers(Blobd, Registry):
        with server.running(bench.scratch), _idle_connections(server):
            at_rest = memory_mib(server.process.pid)
            # Longer than the block below takes: it ends the load, and no upload is ever completed.
            options = {"size": GIB, "connections": UPLOADS, "seconds": 10 * seconds, "seed": 1}
            with bench.load.in_background(server, "upload-large", **options):
                samples = memory_while_busy(server, seconds)
        highest = max(samples)
        judged = server.name == Blobd.name
        rows.append(Row(
            f"memory, {UPLOADS} busy uploads of 1 GiB and {IDLE_CONNECTIONS:,} idle connections", server.name,
            f"{number(highest)} MiB", f"{number(at_rest)} MiB before the uploads",
            reach=f"≤{BUSY_LIMIT_MIB} MiB" if judged else "",
            verdict=verdict(highest, BUSY_LIMIT_MIB) if judged else ""))
        say(f"  {rows[-1].line()}")
    return rows


def memory_while_busy(server: Server, seconds: float) -> list[float]:
    """Resident MiB, four times per second."""
    samples = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.25)
        samples.append(memory_mib(server.process.pid))
    return samples


@contextlib.contextmanager
def _idle_connections(server: Server):
    """Connections that have had one answer and now keep still, as clients between two requests do."""
    request = f"GET {server.idle_path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(request)
            if not connection.recv(65536).startswith(b"HTTP/1.1 2"):
                raise RuntimeError(f"{server.name} does not answer {server.idle_path}")
        yield


def _flatness(bench: Bench) -> list[Row]:
    """The peak of 64 uploads at once, small and large, each on a new server."""
    peaks, rows = [], []
    for size in (16 << 20, bench.size(256 << 20, 32 << 20)):
        for server in bench.servers(Blobd):
            with server.running(bench.scratch):
                bench.load.run(server, "upload-large", size=size, count=UPLOADS, connections=UPLOADS, seed=1)
                after, peak = memory_mib(server.process.pid), memory_mib(server.process.pid, "VmHWM")
            peaks.append(peak)
            row = Row(f"memory, {UPLOADS} × {size_text(size)} at once", server.name, f"{number(peak)} MiB",
                      f"{number(after)} MiB afterwards")
            if len(peaks) == 2:
                ratio = peaks[1] / peaks[0]
                row = Row(row.work, row.server, row.cost, row.throughput, f"{number(ratio)}× that of 16 MiB",
                          f"≤{FLAT_LIMIT}×", verdict(ratio, FLAT_LIMIT))
            rows.append(row)
            say(f"  {row.line()}")
    return rows
