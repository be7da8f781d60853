"""Work 6: what a large catalog costs: at the start, in lookups, and in lists."""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from .bench import Bench, say
from .fill import StoredFile, fill
from .report import Row, number, verdict
from .servers import Blobd

START_LIMIT_SECONDS = 1.0
GROWTH_LIMIT = 1.5
# Files that are looked up. In the large catalog each comes once per round, so that no cache of the server's helps; the
# small one has fewer and repeats them, which makes the comparison harder.
SAMPLE = 5000
LISTS_PER_ROUND = 500


@dataclass(frozen=True)
class Question:
    """One kind of request, and how often a round asks it."""

    text: str
    path: Callable[[StoredFile], str]
    is_lookup: bool
    method: str = "GET"


QUESTIONS = [
    Question("GET /api/files/{id}", lambda file: f"/api/files/{file.id}", is_lookup=True),
    Question("HEAD /api/blobs/{digest}", lambda file: f"/api/blobs/{file.digest.hex()}", is_lookup=True, method="HEAD"),
] + [
    Question(f"GET /api/files?top=100&orderby={order}",
             lambda _, order=order: f"/api/files?top=100&orderby={order.replace(' ', '%20')}", is_lookup=False)
    for column in ("name", "size", "created_at") for order in (column, f"{column} desc")
]


@dataclass
class Catalog:
    """A server whose catalog holds so many files, and what was measured of it, round by round."""

    count: int
    server: Blobd
    sample: list[StoredFile] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)  # Seconds.
    p50s: dict[str, list[float]] = field(default_factory=dict)  # Microseconds.
    p99s: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)


def catalog(bench: Bench) -> list[Row]:
    """The same questions to a small catalog and to a large one, by turns."""
    counts = (1000, bench.size(1_000_000, 20_000))
    with contextlib.ExitStack() as stack:
        catalogs = []
        for count in counts:
            for server in bench.servers(Blobd):
                stack.enter_context(server.running(bench.scratch))
                catalogs.append(_filled(server, count))
        if not catalogs:
            return []
        for turn in range(bench.rounds):
            for one in catalogs if turn % 2 == 0 else reversed(catalogs):
                _measure(bench, one)
    return _rows(*catalogs)


def _filled(server: Blobd, count: int) -> Catalog:
    """Fills the catalog that the server has just made; leaves the server stopped."""
    say(f"  filling a catalog with {count:,} files")
    server.stop()
    filled = Catalog(count, server, fill(server.data, count, SAMPLE))
    os.sync()
    return filled


def _measure(bench: Bench, one: Catalog):
    started = time.monotonic()
    with one.server.serving():
        one.starts.append(time.monotonic() - started)
        for question in QUESTIONS:
            paths = bench.scratch / "paths"
            paths.write_text("".join(f"{question.path(file)}\n" for file in one.sample))
            count = bench.size(SAMPLE if question.is_lookup else LISTS_PER_ROUND, 200)
            report = bench.load.run(one.server, "get", paths=paths, method=question.method, count=count)
            one.p50s.setdefault(question.text, []).append(report["p50"])
            one.p99s.setdefault(question.text, []).append(report["p99"])
            one.rates.setdefault(question.text, []).append(report["jobs"] / report["seconds"])
    say(f"  {one.count:,} files: started in {one.starts[-1]:.3f} s; p99 in µs: "
        + ", ".join(f"{text} {p99s[-1]:.0f}" for text, p99s in one.p99s.items()))


def _rows(small: Catalog, large: Catalog) -> list[Row]:
    rows = []
    for one in (small, large):
        seconds = median(one.starts)
        rows.append(Row(f"start to ready, {one.count:,} files", Blobd.name, f"{number(seconds)} s{_spread(one.starts)}",
                        reach=f"≤{START_LIMIT_SECONDS:g} s", verdict=verdict(seconds, START_LIMIT_SECONDS)))
    for question in QUESTIONS:
        growth = median(large.p99s[question.text]) / median(small.p99s[question.text])
        for one in (small, large):
            p99s = one.p99s[question.text]
            grew = one is large
            p50 = median(one.p50s[question.text])
            rows.append(Row(
                f"{question.text}, {one.count:,} files", Blobd.name,
                f"p50 {number(p50)} µs, p99 {number(median(p99s))} µs{_spread(p99s)}",
                f"{number(median(one.rates[question.text]))} requests/s",
                f"{number(growth)}× the p99 of {small.count:,} files" if grew else "",
                f"≤{GROWTH_LIMIT:g}×" if grew else "", verdict(growth, GROWTH_LIMIT) if grew else ""))
    return rows


def _spread(values: list[float]) -> str:
    return f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 else ""
