"""Works on an S3 store: one node of blobd beside docker-registry, on the same store in the same run.

The servers' own CPU judges. That of the store and the database on their behalf stands below it, so that no work counts as
saved that was only moved there.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from . import cloud_servers
from .bench import Bench, say
from .cloud_servers import DATABASE, STORE, CloudBlobd, CloudRegistry, running_engines
from .downloads import connections_text, fill_and_verify
from .load import Sample
from .memory import memory_while_busy
from .report import GIB, Case, Goal, Row, number, size_text, verdict
from .servers import Server
from .uploads import on_empty_folder
from .usage import memory_mib

CPU_GOALS = [Goal(CloudRegistry.name, 0.7)]
RATE_GOALS = [Goal(CloudRegistry.name, 3, by_rate=True)]
SMALL, SMALL_CONNECTIONS = 4 << 10, 64
BUSY_LIMIT_MIB = 80  # For each upload.


def upload_large(bench: Bench) -> list[Row]:
    """One big blob in one request, and 16 at once that come to the same number of bytes."""
    total = bench.size(GIB, GIB // 8)
    rows = []
    for uploads in (1, 16):
        size = total // uploads
        what = size_text(size) if uploads == 1 else f"{uploads} × {size_text(size)} at once"
        case = Case(f"S3: upload {what}", CloudBlobd.name, per_gib=True, goals=CPU_GOALS)

        def measure(server: Server, turn: int) -> Sample:
            with _store(bench, [server]):
                return on_empty_folder(bench, server, "upload-large", seed=turn + 1, size=size, count=uploads,
                                       connections=uploads)

        bench.alternate(case, _servers(bench), measure)
        rows += _with_what_is_behind(case)
    return rows


def upload_small(bench: Bench) -> list[Row]:
    """4 KiB blobs, each durable before it is answered."""
    case = Case(f"S3: upload {size_text(SMALL)}, {connections_text(SMALL_CONNECTIONS)}", CloudBlobd.name, per_gib=False,
                job="blob", goals=RATE_GOALS)

    def measure(server: Server, turn: int) -> Sample:
        return on_empty_folder(bench, server, "upload-small", seed=turn + 1, size=SMALL, seconds=bench.size(5, 1),
                               connections=SMALL_CONNECTIONS)

    servers = _servers(bench)
    with _store(bench, servers):
        bench.alternate(case, servers, measure)
    return _with_what_is_behind(case)


def download_large(bench: Bench) -> list[Row]:
    """One big blob, by 1 connection and by 16 at once."""
    size = bench.size(GIB, GIB // 8)
    rows = []
    servers = _servers(bench)
    with _store(bench, servers), bench.all_running(servers):
        paths = {server: fill_and_verify(bench, server, "upload-large", size, blobs=1) for server in servers}
        for connections, downloads in ((1, 4), (16, 16)):
            case = Case(f"S3: download {size_text(size)}, {connections_text(connections)}", CloudBlobd.name,
                        per_gib=True, goals=CPU_GOALS)

            def measure(server: Server, _: int) -> Sample:
                return bench.load.measure(server, "get", paths=paths[server], connections=connections, count=downloads)

            bench.alternate(case, servers, measure)
            rows += _with_what_is_behind(case)
    return rows


def download_small(bench: Bench) -> list[Row]:
    """A thousand small blobs in turn."""
    blobs = bench.size(1000, 100)
    case = Case(f"S3: download {size_text(SMALL)}, {blobs:,} blobs, {connections_text(SMALL_CONNECTIONS)}",
                CloudBlobd.name, per_gib=False, goals=RATE_GOALS)
    servers = _servers(bench)
    with _store(bench, servers), bench.all_running(servers):
        paths = {server: fill_and_verify(bench, server, "upload-small", SMALL, blobs) for server in servers}

        def measure(server: Server, _: int) -> Sample:
            return bench.load.measure(server, "get", paths=paths[server], connections=SMALL_CONNECTIONS,
                                      seconds=bench.size(5, 1))

        bench.alternate(case, servers, measure)
    return _with_what_is_behind(case)


def memory(bench: Bench) -> list[Row]:
    """The memory of busy uploads. As every figure of memory, each is the highest of one run, and no median."""
    rows = []
    for uploads in (1, 4, 16):
        for server in _servers(bench):
            with _store(bench, [server]):
                rows.append(_busy(bench, server, uploads))
            say(f"  {rows[-1].line()}")
    return rows


def _busy(bench: Bench, server: Server, uploads: int) -> Row:
    with server.running(bench.scratch):
        at_rest = memory_mib(server.process.pid)
        seconds = bench.size(8, 3)  # More might fill the store.
        # Longer than the block below takes: it ends the load.
        options = {"size": GIB, "connections": uploads, "seconds": 10 * seconds, "seed": 1}
        with bench.load.in_background(server, "upload-large", **options):
            highest = max(memory_while_busy(server, seconds))
    each = (highest - at_rest) / uploads
    judged = server.name == CloudBlobd.name
    return Row(f"S3: memory for each of {uploads} busy uploads" if uploads > 1 else "S3: memory for a busy upload",
               server.name, f"{number(each)} MiB", f"{number(at_rest)} MiB before the uploads, {number(highest)} then",
               reach=f"≤{BUSY_LIMIT_MIB} MiB" if judged else "",
               verdict=verdict(each, BUSY_LIMIT_MIB) if judged else "")


def _servers(bench: Bench) -> list[Server]:
    return cloud_servers.installed(bench, CloudBlobd, CloudRegistry)


@contextlib.contextmanager
def _store(bench: Bench, servers: list[Server]) -> Iterator[None]:
    """New engines for these servers, for as long as the block; none for no servers."""
    if not servers:
        yield
        return
    with running_engines(bench) as engines:
        for server in servers:
            server.engines = engines
        yield


def _with_what_is_behind(case: Case) -> list[Row]:
    """The case's rows, and below them the CPU of each engine meanwhile."""
    rows = case.rows()
    for engine in (STORE, DATABASE):
        behind = Case(f"… CPU of {engine}", case.subject, case.per_gib, case.job)
        for server, samples in case.samples.items():
            if all(engine in sample.behind for sample in samples):
                behind.samples[server] = [replace(sample, cpu=sample.behind[engine]) for sample in samples]
        rows += [replace(row, throughput="") for row in behind.rows()]
    return rows
