"""The cost of a check of many small blobs where their bytes are in an S3 store."""

import json
from statistics import median

from . import cloud_servers
from .bench import Bench, say
from .cloud_servers import CloudBlobd, running_engines
from .report import Row, number, size_text

SIZE = 4 << 10
CONNECTIONS = 64
CHECKS = [(by, jobs) for by in ("reading", "size") for jobs in (1, 16)]


def check(bench: Bench) -> list[Row]:
    """Blobs a second, beside a node that has nothing else to do."""
    blobs = bench.size(3000, 200)
    rates: dict[tuple[str, int], list[float]] = {one: [] for one in CHECKS}
    for node in cloud_servers.installed(bench, CloudBlobd):
        with running_engines(bench) as engines:
            node.engines = engines
            with node.running(bench.scratch):
                bench.load.run(node, "upload-small", size=SIZE, connections=CONNECTIONS, count=blobs, seed=1)
                for turn in range(bench.rounds):
                    for one in CHECKS:
                        rates[one].append(_rate(node, *one, expected=blobs))
                        say(f"  by {one[0]}, {one[1]} at a time, round {turn + 1}: {rates[one][-1]:.0f}/s")
        return [Row(f"S3: check of {blobs:,} blobs of {size_text(SIZE)} by {by}, {jobs} at a time", node.name, "",
                    f"{number(median(found))} blobs/s ({number(min(found))}–{number(max(found))})")
                for (by, jobs), found in rates.items()]
    return []


def _rate(node: CloudBlobd, by: str, jobs: int, expected: int) -> float:
    told = node.run("check", "--json", "--jobs", str(jobs), *(["--quick"] if by == "size" else []))
    end = json.loads(told.splitlines()[-1])
    assert (end["event"], end["blobs"], end["damaged"]) == ("done", expected, 0), end
    return end["blobs"] / end["seconds"]
