"""The last look, when everything is whole again: all that clients were told is there, rows and objects agree, and when
everything is deleted nothing stays behind."""

import time
from concurrent.futures import ThreadPoolExecutor

from cluster import Cluster
from harness.checker import Checker
from harness.connection import Connection
from harness.ledger import Ledger
from harness.process import CommandFailed
from s3_proxy import Proxy

# Objects that rows name: in one statement, so that none is missed on its way from one table to another.
SPOKEN_OF = """
    SELECT true, 'segments/' || upload || '/' || name FROM segments
    UNION SELECT true, 'segments/' || upload || '/' || name FROM contents JOIN pieces ON content = id
    UNION SELECT false, 'segments/' || upload || '/' || name FROM released
"""
# Everything in the database is so much older at once: leases are over, and objects that are left alone for a day are
# due.
AGE = """
    UPDATE contents SET created = created - 10 * 86400000, leased = 0;
    UPDATE released SET leased = 0;
    UPDATE uploads SET expires = 0;
"""
COUNTS = {name: f"SELECT count(*) FROM {name}" for name in
          ("uploads", "segments", "contents", "pieces", "released", "files", "blobs")}
COUNTS |= {f"{column} in {table}": f"SELECT coalesce(sum({column}), 0) FROM {table}" for table, column in (
    ("usage", "files"), ("usage", "file_bytes"), ("usage", "charge"), ("usage", "let_go"), ("totals", "files"),
    ("blob_totals", "blobs"), ("blob_totals", "blob_bytes"))}


class Audit:
    """A last look at a cluster. `losses` are sentences."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self.losses: list[str] = []
        self.strays = 0  # objects without a row, before they were taken for old

    def check(self, ledger: Ledger) -> "Audit":
        """Holds the cluster to its promises, some through each node, and completes open uploads."""
        names = list(ledger.promises)
        checkers = []
        for number, node in enumerate(self._cluster.nodes):
            node.start_seconds = 0  # the time of a start is the subject of another test
            checkers.append(Checker(node, ledger, set(names[number::len(self._cluster.nodes)])))
        with ThreadPoolExecutor() as pool:
            for losses in pool.map(lambda checker: checker.check(resumes=False), checkers):
                self.losses += losses
        # Only now: uploads completed here may have the bytes of a file that was deleted.
        open_ = {promise.name for promise in ledger.given() if not promise.file and not promise.destroyed}
        self.losses += Checker(self._cluster.nodes[0], ledger, open_).check(looks_into_folder=False)
        try:
            self._cluster.run("check", "--quick")
        except CommandFailed as error:
            self.losses.append(str(error))
        self.compare()
        return self

    def compare(self):
        """Every object that a row needs has to be there. Those without a row are counted.

        The nodes go on releasing objects: one that goes between a look at the rows and one at the bucket is neither lost
        nor left behind. So each is looked at twice, in turn, and only findings of both times count.
        """
        objects = self._cluster.bucket.keys()
        needed, known = self._objects_of_rows()
        objects_after = self._cluster.bucket.keys()
        needed_after, _ = self._objects_of_rows()
        if missing := (needed & needed_after) - objects_after:
            self.losses.append(f"{len(missing)} objects that rows speak of are not in the bucket: {sorted(missing)[:3]}")
        self.strays = len((objects & objects_after) - known)

    def delete_everything(self):
        """All files by their owner, through the balancer."""
        connection = Connection(self._cluster.door)
        while True:
            answer = connection.ask("GET", "/api/files?top=100")
            if answer.status != 200:
                self.losses.append(f"the files cannot be listed: {answer.text()}")
                break
            items = answer.json()["items"]
            if not items:
                break
            for item in items:
                answer = connection.ask("POST", f"/api/files/{item['id']}/destroy")
                if answer.status not in (204, 404):
                    self.losses.append(f"a file cannot be deleted: {answer.text()}")
                    connection.close()
                    return
        connection.close()

    def expect_empty_soon(self, seconds: float = 20):
        """The nodes by themselves leave nothing."""
        end = time.monotonic() + seconds
        while (left := self._cluster.bucket.keys()) and time.monotonic() < end:
            time.sleep(0.5)
        if left:
            self.losses.append(f"{len(left)} objects are left {seconds:.0f} s after the last file: {sorted(left)[:3]}; "
                               f"rows: {self._rows()}")

    def expect_empty_in_old_age(self):
        """With all files deleted and the nodes gone, a sweep that takes everything that is left for old leaves nothing."""
        for node in self._cluster.nodes:
            node.kill()
        proxy = Proxy(self._cluster.store_port)
        proxy.ages_lists = True
        try:
            for _ in range(2):
                self._cluster.query(AGE)
                self._cluster.run("reclaim", s3_port=proxy.port)
        except CommandFailed as error:
            self.losses.append(str(error))
        finally:
            proxy.go_away()
        if left := self._cluster.bucket.keys() | set(self._cluster.bucket.unfinished()):
            self.losses.append(f"{len(left)} objects stay for ever: {sorted(left)[:3]}")
        if rows := self._rows():
            self.losses.append(f"rows stay for ever, or are counted: {rows}")

    def _rows(self) -> dict[str, int]:
        """The number of rows or objects of each kind, without the kinds that have none."""
        counts = self._cluster.query("SELECT " + ", ".join(f"({sql})" for sql in COUNTS.values()))[0]
        return {name: int(count) for name, count in zip(COUNTS, counts) if int(count)}

    def _objects_of_rows(self) -> tuple[set[str], set[str]]:
        """The keys that are needed, and all that rows name."""
        rows = self._cluster.query(SPOKEN_OF)
        return {key for is_needed, key in rows if is_needed == "t"}, {key for _, key in rows}
