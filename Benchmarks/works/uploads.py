"""Works 3 and 4: uploads. Every measurement meets a new server on an empty folder, so that none inherits another's
files, and contents that no server has seen, so that none can skip the work."""

import os

from .bench import Bench
from .load import Sample
from .report import GIB, Case, Goal, Row, size_text
from .servers import Blobd, Floor, Nginx, Registry, Server

LARGE_GOALS = [Goal(Registry.name, 0.45), Goal(Floor.name, 1.15)]
SMALL_GOALS = [Goal(Registry.name, 5, by_rate=True)]


def large(bench: Bench) -> list[Row]:
    """One big blob in one request, and 64 at once that come to the same number of bytes."""
    total = bench.size(GIB, GIB // 8)
    servers = bench.servers(Blobd, Registry, Nginx, Floor)
    rows = []
    for uploads in (1, 64):
        size = total // uploads
        name = f"upload {size_text(size)}" if uploads == 1 else f"upload {uploads} × {size_text(size)} at once"
        case = Case(name, Blobd.name, per_gib=True, goals=LARGE_GOALS)

        def measure(server: Server, turn: int) -> Sample:
            return on_empty_folder(bench, server, "upload-large", seed=turn + 1, size=size, count=uploads,
                                    connections=uploads)

        bench.alternate(case, servers, measure)
        rows += case.rows()
    return rows


def small(bench: Bench) -> list[Row]:
    """4 KiB blobs by 64 connections, each durable before it is answered."""
    case = Case("upload 4 KiB, durably, 64 connections", Blobd.name, per_gib=False, job="blob", goals=SMALL_GOALS)
    seconds = bench.size(5, 1)

    def measure(server: Server, turn: int) -> Sample:
        return on_empty_folder(bench, server, "upload-small", seed=turn + 1, size=4 << 10, seconds=seconds,
                                connections=64)

    bench.alternate(case, bench.servers(Blobd, Registry, Floor), measure)
    return case.rows()


def on_empty_folder(bench: Bench, server: Server, mode: str, **options) -> Sample:
    """One measurement of a new server."""
    with server.running(bench.scratch):
        # Another server's dirty pages would be written on this one's time.
        os.sync()
        return bench.load.measure(server, mode, **options)
