"""The nodes talk to PostgreSQL through pgbouncer in transaction mode: each statement may meet another connection."""

import time
from pathlib import Path

from audit import Audit
from cluster import Cluster, Tools
from crowd import Crowd, Readers, Record, plans
from harness.process import Process, free_ports, unprivileged

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={postgres} user=test
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
server_reset_query_always = 1
"""


class Pooler(Process):
    """pgbouncer with fewer connections than the nodes have, so that they get one another's."""

    def __init__(self, folder: Path, postgres: int):
        folder.mkdir()
        folder.chmod(0o755)
        self.port = free_ports(1)[0]
        file = folder / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(postgres=postgres, port=self.port))
        file.chmod(0o644)
        super().__init__([*unprivileged(), "/usr/sbin/pgbouncer", file], folder / "pgbouncer.log")
        self.wait_until_it_listens(self.port)


def run(tools: Tools, uploads: int, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether everything went as without a pooler, and the line that says so."""
    began = time.monotonic()
    tools.postgres.create("pooler")
    pooler = Pooler(tools.scratch / "pgbouncer", tools.postgres.port)
    url = f"postgresql://test@127.0.0.1:{pooler.port}/pooler"
    with Cluster(tools, "pooler", {"database-prepared-statements": "false"}, database=url) as cluster:
        record = Record()
        crowd = Crowd(cluster.door, record, plans("pooler", uploads, seed))
        readers = Readers(cluster.door, crowd, str(seed))
        crowd.finish(60)
        readers.stop()
        audit = Audit(cluster).check(crowd.ledger)
        audit.delete_everything()
        audit.expect_empty_soon()
        losses = cluster.found(audit.losses, record.wrong)
        errors = record.unanswered + record.answers[503]
        cluster.is_good = not losses and not errors and not audit.strays
    pooler.stop()
    return cluster.is_good, "\n".join([
        *losses,
        f"pooler: {len(crowd.promises):,} uploads, {readers.downloads:,} downloads, {errors} errors, {audit.strays} objects "
        f"without a row; {len(losses)} wrong or lost, {time.monotonic() - began:.0f} s"])
