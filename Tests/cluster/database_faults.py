"""PostgreSQL is restarted, crashes, loses connections and stands still, again and again, while clients are at work."""

import random
import time

from audit import Audit
from cluster import Cluster, Tools
from crowd import Crowd, Readers, Record, plans
from harness.connection import Connection, Unanswered

BETWEEN = 1.0  # seconds of work between two faults
STILL = 4.0  # seconds for which the database stands still
FAST = 15.0  # seconds that a refusal may take
RECOVERY_LIMIT = 10.0  # seconds from the database's return to that of the service


def restart(cluster: Cluster, chance: random.Random):
    cluster.tools.postgres.restart("fast")


def crash(cluster: Cluster, chance: random.Random):
    cluster.tools.postgres.restart("immediate")


def lose_connections(cluster: Cluster, chance: random.Random):
    for _ in range(10):
        cluster.tools.postgres.terminate(cluster.name, chance, share=0.3)
        time.sleep(0.05)


def lose_connections_in_statements(cluster: Cluster, chance: random.Random):
    for table in ("uploads", "segments", "contents"):
        with cluster.tools.postgres.holding(cluster.name, table):
            time.sleep(0.2)
            cluster.tools.postgres.terminate(cluster.name, chance, share=0.7)


def stand_still(cluster: Cluster, chance: random.Random):
    cluster.tools.postgres.pause()
    time.sleep(STILL)
    cluster.tools.postgres.go_on()


FAULTS = (restart, crash, lose_connections, lose_connections_in_statements, stand_still)


def recovery(cluster: Cluster) -> float:
    """Seconds until an upload is started by each node."""
    began = time.monotonic()
    for node in cluster.nodes:
        connection = Connection(node, 30)
        while time.monotonic() < began + 2 * RECOVERY_LIMIT:
            try:
                if connection.ask("POST", "/api/blobs/uploads?filename=probe").status == 202:
                    break
            except Unanswered:
                pass
            time.sleep(0.05)
        connection.close()
    return time.monotonic() - began


def run(tools: Tools, rounds: int, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether nothing was lost, and the line that says so."""
    began = time.monotonic()
    chance = random.Random(f"database {seed}")
    slowest, faults = 0.0, 0
    with Cluster(tools, "database-faults") as cluster:
        record = Record()
        crowd = Crowd(cluster.door, record, plans("database", 1_000_000, seed))
        readers = Readers(cluster.door, crowd, str(seed))
        for _ in range(rounds):
            for fault in chance.sample(FAULTS, len(FAULTS)):
                time.sleep(BETWEEN)
                fault(cluster, chance)
                slowest = max(slowest, recovery(cluster))
                faults += 1
        crowd.stop()
        crowd.finish(30)
        readers.stop()
        audit = Audit(cluster).check(crowd.ledger)
        audit.delete_everything()
        audit.expect_empty_in_old_age()
        losses = cluster.found(audit.losses, record.wrong)
        cluster.is_good = not losses and slowest <= RECOVERY_LIMIT and record.slowest_refusal <= FAST
    return cluster.is_good, "\n".join([
        *losses,
        f"postgres: {faults} faults; {len(crowd.promises):,} uploads, {readers.downloads:,} downloads, {record.text()}; "
        f"service back after {slowest:.1f} s at most; {audit.strays} objects without a row; "
        f"{len(losses)} wrong or lost, {time.monotonic() - began:.0f} s"])
