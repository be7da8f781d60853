"""Objects are overwritten behind the nodes' back, while these verify, a `blobd check` runs beside them, and clients upload the
same contents again. Nothing wrong is ever served; and once nobody overwrites any more, an upload of the same content is
served as it is from its answer on, whatever a node is about to record of the bytes before."""

import contextlib
import random
import threading
import time

from audit import Audit
from cluster import Cluster, Tools
from crowd import Record
from harness.client import Refused, Uploader
from harness.connection import Connection, Door, Unanswered
from harness.ledger import Promise
from harness.process import CommandFailed

SIZES = (1, 4096, 70_000, 70_001, 1_500_000, 18_000_000)  # one content each; the last is of several objects
DAMAGING, WATCHING = 3.0, 1.5  # seconds of a round
UPLOADERS, READERS = 4, 3
SETTINGS = {"scrub-interval": "1s", "scrub-rate": "1GiB"}
LIVE = """SELECT 'segments/' || upload || '/' || name, piece.size FROM contents JOIN pieces AS piece ON content = id
    WHERE state = 1"""
# The statement of an administrator who has looked at the objects in quarantine.
EMPTY_QUARANTINE = "UPDATE contents SET state = 3, removed = 0 WHERE state = 2"


class Turmoil:
    """Clients and a damager at work, until `stop`."""

    def __init__(self, cluster: Cluster, record: Record, seed: str):
        self.cluster, self.record = cluster, record
        self.overwritten: set[str] = set()  # keys
        self.uploads = self.downloads = self.corrupt = self.checks = 0
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        work = [(self._overwrite, "damager"), (self._check, "checker")]
        work += [(self._upload, f"uploader {number}") for number in range(UPLOADERS)]
        work += [(self._read, f"reader {number}") for number in range(READERS)]
        self._threads = [threading.Thread(target=self._repeat, args=(step, random.Random(f"{seed} {name}")), daemon=True)
                         for step, name in work]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._is_stopping.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, step, chance: random.Random):
        connection = Connection(self.cluster.door)
        while not self._is_stopping.is_set():
            try:
                step(connection, chance)
            except Exception as error:
                self.record.blame(f"{type(error).__name__} {error}")
                time.sleep(0.2)
        connection.close()

    def _count(self, name: str):
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)

    def _overwrite(self, _: Connection, chance: random.Random):
        objects = self.cluster.query(LIVE)
        for key, size in chance.sample(objects, min(2, len(objects))):
            self.cluster.bucket.put(key, chance.randbytes(int(size)))
            self.overwritten.add(key)
        time.sleep(0.05)

    def _check(self, _: Connection, __: random.Random):
        with contextlib.suppress(CommandFailed):  # its way to report damage
            self.cluster.run("check")
        self._count("checks")

    def _upload(self, connection: Connection, chance: random.Random):
        upload(connection, promise(chance.choice(SIZES)))
        self._count("uploads")
        time.sleep(chance.uniform(0, 0.3))

    def _read(self, connection: Connection, chance: random.Random):
        wanted = promise(chance.choice(SIZES))
        try:
            answer = connection.ask("GET", f"/api/blobs/{wanted.digest}")
        except Unanswered:
            return  # The download ended where an object was another one.
        if answer.status == 200:
            self._count("downloads")
            if answer.body != wanted.content:
                self.record.blame(f"a download of {wanted.size} bytes ended well, with {len(answer.body)} other bytes")
        elif answer.status == 500 and b"BLOB_CORRUPT" in answer.body:
            self._count("corrupt")
        else:
            self.record.blame(f"a download of {wanted.size} bytes: {answer.text()}")


def promise(size: int) -> Promise:
    return Promise(f"damage-{size}", "damage", size)


def upload(connection: Connection, wanted: Promise):
    uploader = Uploader(connection, wanted, lambda *_: None)
    uploader.start()
    uploader.complete(0)


def expect_sound(cluster: Cluster, record: Record, connections: list[Connection], wanted: Promise):
    for number, connection in enumerate(connections):
        answer = connection.ask("GET", f"/api/blobs/{wanted.digest}")
        if answer.status != 200 or answer.body != wanted.content:
            record.blame(f"{wanted.size} bytes were uploaded again, and node {number} answers {answer.text()[:100]}")


def heal(cluster: Cluster, record: Record):
    """Uploads every content once more; from its answer on, every node serves it."""
    uploading = Connection(cluster.door)
    connections = [Connection(Door(node.port, cluster.token)) for node in cluster.nodes]
    contents = [promise(size) for size in SIZES]
    try:
        for wanted in contents:
            upload(uploading, wanted)
            expect_sound(cluster, record, connections, wanted)
        end = time.monotonic() + WATCHING
        while time.monotonic() < end:
            for wanted in contents:
                expect_sound(cluster, record, connections, wanted)
    except (Refused, Unanswered) as error:
        record.blame(f"after the damage: {type(error).__name__} {error}")
    for connection in [uploading, *connections]:
        connection.close()


def expect_gone(cluster: Cluster, audit: Audit, overwritten: set[str], seconds: float = 20):
    """The nodes leave nothing by themselves, but for objects written anew behind their back after they had deleted them."""
    end = time.monotonic() + seconds
    while (left := cluster.bucket.keys() - overwritten) and time.monotonic() < end:
        time.sleep(0.5)
    if left:
        audit.losses.append(f"{len(left)} objects are left {seconds:.0f} s after the last file: {sorted(left)[:3]}")


def run(tools: Tools, rounds: int, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether nothing wrong was served, and the line that says so."""
    began = time.monotonic()
    with Cluster(tools, "damage", SETTINGS) as cluster:
        record = Record()
        heal(cluster, record)
        turmoils = []
        for number in range(rounds):
            turmoils.append(Turmoil(cluster, record, f"{seed} {number}"))
            time.sleep(DAMAGING)
            turmoils[-1].stop()
            heal(cluster, record)
        audit = Audit(cluster)
        try:
            cluster.run("check")
        except CommandFailed as error:
            audit.losses.append(str(error))
        audit.compare()
        quarantined = int(cluster.query("SELECT count(*) FROM contents WHERE state = 2")[0][0])
        overwritten = set().union(*(turmoil.overwritten for turmoil in turmoils))
        cluster.query(EMPTY_QUARANTINE)
        audit.delete_everything()
        expect_gone(cluster, audit, overwritten)
        total = {name: sum(getattr(turmoil, name) for turmoil in turmoils)
                 for name in ("uploads", "downloads", "corrupt", "checks")} | {"overwritten": len(overwritten)}
        for name, count in (total | {"quarantined": quarantined}).items():
            if not count:
                audit.losses.append(f"nothing of the kind '{name}' came to pass: this test has fallen behind")
        losses = cluster.found(audit.losses, record.wrong)
        cluster.is_good = not losses
    return cluster.is_good, "\n".join([
        *losses,
        f"damage: {total['overwritten']:,} objects overwritten in {rounds} rounds, beside {total['uploads']:,} uploads of "
        f"{len(SIZES)} contents and {total['checks']} checks; {total['downloads']:,} downloads right, {total['corrupt']:,} "
        f"answered with BLOB_CORRUPT, {quarantined} contents in quarantine; {len(losses)} wrong or lost, "
        f"{time.monotonic() - began:.0f} s"])
