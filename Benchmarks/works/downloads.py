"""Works 1 and 2: downloads, from the page cache, over plaintext keep-alive connections."""

from .bench import Bench, say
from .load import Sample
from .report import GIB, Case, Goal, Row, size_text
from .servers import Blobd, CachingNginx, Nginx, Registry, Server

LARGE_GOALS = [Goal(Nginx.name, 1.0), Goal(Registry.name, 0.7)]
SMALL_GOALS = [Goal(Nginx.name, 4, aim=2), Goal(Registry.name, 1 / 20)]


def large(bench: Bench) -> list[Row]:
    """One big blob, by 1 connection and by 16 at once."""
    size = bench.size(GIB, GIB // 8)
    servers = bench.servers(Blobd, Nginx, Registry)
    rows = []
    with bench.all_running(servers):
        paths = {server: fill_and_verify(bench, server, "upload-large", size, blobs=1) for server in servers}
        for connections, downloads in ((1, 4), (16, 16)):
            case = Case(f"download {size_text(size)}, {connections_text(connections)}", Blobd.name, per_gib=True,
                        goals=LARGE_GOALS)

            def measure(server: Server, _: int) -> Sample:
                return bench.load.measure(server, "get", paths=paths[server], connections=connections, count=downloads)

            bench.alternate(case, servers, measure)
            rows += case.rows()
    return rows


def small(bench: Bench) -> list[Row]:
    """Small blobs: a thousand in turn, and one over and over."""
    servers = bench.servers(Blobd, Nginx, CachingNginx, Registry)
    rows = []
    for size in (4 << 10, 64 << 10):
        with bench.all_running(servers):
            for blobs in (1000, 1):
                paths = {server: fill_and_verify(bench, server, "upload-small", size, blobs) for server in servers}
                for connections in (16, 256):
                    rows += _small_case(bench, servers, paths, size, blobs, connections).rows()
    return rows


def _small_case(bench: Bench, servers: list[Server], paths: dict, size: int, blobs: int, connections: int) -> Case:
    which = f"{blobs:,} blobs" if blobs > 1 else "one blob"
    case = Case(f"download {size_text(size)}, {which}, {connections_text(connections)}", Blobd.name, per_gib=False,
                goals=SMALL_GOALS)
    seconds = bench.size(2, 0.5)

    def measure(server: Server, _: int) -> Sample:
        return bench.load.measure(server, "get", paths=paths[server], connections=connections, seconds=seconds)

    bench.alternate(case, servers, measure)
    return case


def fill_and_verify(bench: Bench, server: Server, mode: str, size: int, blobs: int):
    """Uploads the blobs, and downloads each once: it is then in the page cache, and known to come back whole."""
    say(f"  filling {server.name}")
    digests = bench.load.upload(server, mode, bench.scratch, size=size, count=blobs, connections=min(blobs, 16),
                                seed=blobs)
    paths = server.directory / f"paths-{blobs}-{size}"
    paths.write_text("".join(f"{server.blob_path(digest)}\n" for digest in digests))
    bench.load.run(server, "get", paths=paths, count=blobs, verify=True)
    return paths


def connections_text(count: int) -> str:
    return f"{count} connection{'s' if count > 1 else ''}"
