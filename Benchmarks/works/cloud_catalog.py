"""The catalog of many nodes: the cost of ten million files in lookups, in lists, and in an upload."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median

from harness.engines import Postgres, psql

from . import cloud_servers
from .bench import Bench, say
from .catalog import QUESTIONS, SAMPLE, Catalog, Question, ask, page, requests, rows_of, started, tell
from .cloud_fill import LARGEST_OWNER, fill, sample
from .cloud_plans import recorded_plans
from .cloud_servers import CloudBlobd, running_engines
from .load import Sample
from .report import Row, number

OWNER_QUESTIONS = [page(f"orderby={order}", note=", one owner's") for order in ("name", "size desc", "created_at desc")]
# The small catalog's last page is as far from the first in the large one. The requests after it are known to grow with
# the catalog, and made a few times only, to tell how much.
FAR_QUESTIONS = [page("orderby=name&skip=900"), page("orderby=created_at desc&skip=900")] + [
    page(query, times=3, is_judged=False) for query in
    ("orderby=created_at desc&skip=100000", "orderby=created_at desc&skip=1000000", "search=89213")
]
# For the time in which tables are filled: nothing of it is worth keeping if the machine fails.
HASTE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
         "shared_buffers": "4GB", "maintenance_work_mem": "1GB", "max_wal_size": "16GB"}
UPLOAD_SIZE = 4 << 10
UPLOADS = 2000  # In a round.
UPLOAD_CONNECTIONS = 16
# Statements are planned for good when a connection has run them five times, and a node has sixteen connections.
TIMES_TO_SHOW_PLANS = 100


class Node(CloudBlobd):
    """A node that keeps the dying blobs which its tables were filled with."""

    name = "blobd, one node"
    settings = CloudBlobd.settings | {"reclaim-grace": "7d"}


@dataclass
class CloudCatalog(Catalog):
    """A node whose database holds so many files."""

    headers: dict[str, list[str]] = field(default_factory=dict)  # By whose token it is.
    uploads: list[Sample] = field(default_factory=list)
    log_bytes: list[float] = field(default_factory=list)  # Of the database's log, for each upload.
    transactions: list[float] = field(default_factory=list)  # Transaction ids, for each upload.


def cloud_catalog(bench: Bench) -> list[Row]:
    """The same questions to a small catalog and to a large one on the same PostgreSQL, by turns."""
    if not cloud_servers.installed(bench, Node):
        return []
    with running_engines(bench) as engines, contextlib.ExitStack() as stack:
        catalogs = []
        for count in (1000, bench.size(10_000_000, 20_000)):
            (node,) = bench.servers(Node)
            node.engines = engines
            stack.enter_context(node.running(bench.scratch))
            catalogs.append(_filled(node, count))
        for turn in range(bench.rounds):
            for one in catalogs if turn % 2 == 0 else reversed(catalogs):
                with started(one):
                    for questions in _speaking(one):
                        ask(bench, one, questions)
                    _upload(bench, one, turn)
                tell(one)
        _say_sizes(catalogs[1])
        if bench.plans:
            bench.plans.write_text(_plans(bench, engines.postgres, catalogs[1]))
    return rows_of(*catalogs, QUESTIONS + OWNER_QUESTIONS + FAR_QUESTIONS) + list(_upload_rows(catalogs))


@contextlib.contextmanager
def hurrying(postgres: Postgres) -> Iterator[None]:
    """The database with settings that are good for filling tables."""
    postgres.set(HASTE)
    try:
        yield
    finally:
        postgres.set(dict.fromkeys(HASTE))


def _filled(node: Node, count: int) -> CloudCatalog:
    """Fills the tables that a node has just made; leaves the node stopped."""
    say(f"  filling a database with {count:,} files")
    headers = {"everybody": [node.token("everybody", "--scopes", "upload,read,admin")],
               "owner": [node.token(LARGEST_OWNER, "--scopes", "read")]}
    node.stop()
    with hurrying(node.engines.postgres):
        fill(node.place.database, count)
    return CloudCatalog(count, node, sample(node.place.database, count, SAMPLE), headers=headers)


def _speaking(one: CloudCatalog) -> Iterable[list[Question]]:
    """All questions; while they are asked, the node is spoken to with the token of whom they are about."""
    for whose, questions in (("everybody", QUESTIONS + FAR_QUESTIONS), ("owner", OWNER_QUESTIONS)):
        one.server.headers = one.headers[whose]
        yield questions


def _upload(bench: Bench, one: CloudCatalog, turn: int):
    """Uploads, from a checkpoint on: a page that is changed for the first time after it goes to the log as a whole."""
    one.server.headers = one.headers["everybody"]
    count = bench.size(UPLOADS, 50)
    psql(one.server.place.database, "CHECKPOINT")
    log, transactions = _positions(one)
    measured = bench.load.measure(one.server, "upload-small", size=UPLOAD_SIZE, connections=UPLOAD_CONNECTIONS,
                                  count=count, seed=one.count + turn)
    new_log, new_transactions = _positions(one)
    bench.shares_of_others.append(measured.others)
    one.uploads.append(measured)
    one.log_bytes.append((new_log - log) / count)
    one.transactions.append((new_transactions - transactions) / count)


def _positions(one: CloudCatalog) -> tuple[int, int]:
    """How far the database's log and its transaction ids have come."""
    ((log, transaction),) = psql(
        one.server.place.database,
        "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, pg_snapshot_xmax(pg_current_snapshot())")
    return int(log), int(transaction)


def _upload_rows(catalogs: Iterable[CloudCatalog]) -> Iterable[Row]:
    for one in catalogs:
        yield Row(
            f"upload 4 KiB, {UPLOAD_CONNECTIONS} connections, {one.count:,} files", one.server.name,
            f"{number(median(_cpu(each) / each.jobs * 1e6 for each in one.uploads))} µs with PostgreSQL and Ceph; "
            f"p99 {number(median(each.p99 for each in one.uploads))} µs",
            f"{number(median(each.jobs / each.seconds for each in one.uploads))} uploads/s",
            f"each {number(median(one.log_bytes) / 1024)} KiB of log, {number(median(one.transactions))} transactions")


def _cpu(measured: Sample) -> float:
    return measured.cpu + sum(measured.behind.values())


def _say_sizes(one: CloudCatalog):
    """Progress: every table and index, and its bytes for each row of its table."""
    say(f"  sizes with {one.count:,} files")
    for name, size, per_row in psql(one.server.place.database, """
        SELECT relation.relname, pg_relation_size(relation.oid),
                round(pg_relation_size(relation.oid) / nullif(rows.reltuples, 0)::numeric, 1)
            FROM pg_class relation LEFT JOIN pg_index ON indexrelid = relation.oid
            JOIN pg_class rows ON rows.oid = coalesce(indrelid, relation.oid)
            WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'i')
                AND pg_relation_size(relation.oid) > 1 << 20
            ORDER BY rows.relname, relation.relkind DESC, relation.relname
    """):
        say(f"    {name}: {int(size) / 2**20:,.0f} MiB, {per_row} bytes for each row")


def _plans(bench: Bench, postgres: Postgres, one: CloudCatalog) -> str:
    """PostgreSQL's plans for each statement of a node, those inside functions too."""
    with recorded_plans(postgres) as plans, one.server.serving():
        for questions in _speaking(one):
            for question in questions:
                bench.load.run(one.server, "get", **requests(bench, one, question),
                               count=min(question.times, TIMES_TO_SHOW_PLANS))
        one.server.headers = one.headers["everybody"]
        bench.load.run(one.server, "upload-small", size=UPLOAD_SIZE, count=TIMES_TO_SHOW_PLANS, seed=one.count + 1_000)
        one.server.run("reclaim")
    return plans.text()
