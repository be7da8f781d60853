"""Work 6: the cost of a large catalog: at the start, in lookups, and in lists."""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from .bench import Bench, say
from .fill import StoredFile, fill
from .report import Row, number, verdict
from .servers import Blobd, Server

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
    times: int
    method: str = "GET"
    is_judged: bool = True  # Whether it has to be as fast in the large catalog.


def page(query: str, times: int = LISTS_PER_ROUND, note: str = "", **options) -> Question:
    """A list of up to a hundred files."""
    path = f"/api/files?top=100&{query}"
    return Question(f"GET {path}{note}", lambda _: path.replace(" ", "%20"), times, **options)


QUESTIONS = [
    Question("GET /api/files/{id}", lambda file: f"/api/files/{file.id}", SAMPLE),
    Question("HEAD /api/blobs/{digest}", lambda file: f"/api/blobs/{file.digest.hex()}", SAMPLE, method="HEAD"),
] + [page(f"orderby={order}") for column in ("name", "size", "created_at") for order in (column, f"{column} desc")]


@dataclass
class Catalog:
    """A server whose catalog holds so many files, and its measurements, round by round."""

    count: int
    server: Server
    sample: list = field(default_factory=list)  # Whatever has an `id` and a `digest`.
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
    return rows_of(*catalogs, QUESTIONS)


def _filled(server: Blobd, count: int) -> Catalog:
    """Fills the catalog that the server has just made; leaves the server stopped."""
    say(f"  filling a catalog with {count:,} files")
    server.stop()
    filled = Catalog(count, server, fill(server.data, count, SAMPLE))
    os.sync()
    return filled


def _measure(bench: Bench, one: Catalog):
    with started(one):
        ask(bench, one, QUESTIONS)
    tell(one)


@contextlib.contextmanager
def started(one: Catalog):
    """The server, and how long it took until it served."""
    begin = time.monotonic()
    with one.server.serving():
        one.starts.append(time.monotonic() - begin)
        yield


def ask(bench: Bench, one: Catalog, questions: list[Question]):
    """One round of questions to a running server."""
    for question in questions:
        count = bench.size(question.times, min(question.times, 200))
        measured = bench.load.measure(one.server, "get", **requests(bench, one, question), count=count)
        bench.shares_of_others.append(measured.others)
        one.p50s.setdefault(question.text, []).append(measured.p50)
        one.p99s.setdefault(question.text, []).append(measured.p99)
        one.rates.setdefault(question.text, []).append(measured.jobs / measured.seconds)


def requests(bench: Bench, one: Catalog, question: Question) -> dict:
    """The load generator's options for asking a question about each file of the sample."""
    paths = bench.scratch / "paths"
    paths.write_text("".join(f"{question.path(file)}\n" for file in one.sample))
    return {"paths": paths, "method": question.method}


def tell(one: Catalog):
    """Progress: the round's figures."""
    say(f"  {one.count:,} files: started in {one.starts[-1]:.3f} s; p99 in µs: "
        + ", ".join(f"{text} {p99s[-1]:.0f}" for text, p99s in one.p99s.items()))


def rows_of(small: Catalog, large: Catalog, questions: list[Question]) -> list[Row]:
    """The table: the starts, then question by question."""
    rows = []
    name = small.server.name
    for one in (small, large):
        seconds = median(one.starts)
        rows.append(Row(f"start to ready, {one.count:,} files", name, f"{number(seconds)} s{_spread(one.starts)}",
                        reach=f"≤{START_LIMIT_SECONDS:g} s", verdict=verdict(seconds, START_LIMIT_SECONDS)))
    for question in questions:
        growth = median(large.p99s[question.text]) / median(small.p99s[question.text])
        for one in (small, large):
            p99s = one.p99s[question.text]
            grew = one is large
            is_judged = grew and question.is_judged
            p50 = median(one.p50s[question.text])
            rows.append(Row(
                f"{question.text}, {one.count:,} files", name,
                f"p50 {number(p50)} µs, p99 {number(median(p99s))} µs{_spread(p99s)}",
                f"{number(median(one.rates[question.text]))} requests/s",
                f"{number(growth)}× the p99 of {small.count:,} files" if grew else "",
                f"≤{GROWTH_LIMIT:g}×" if is_judged else "", verdict(growth, GROWTH_LIMIT) if is_judged else ""))
    return rows


def _spread(values: list[float]) -> str:
    return f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 else ""
