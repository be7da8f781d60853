"""Many clients upload the same few contents, delete their files and upload them again, while every node removes at once
the blobs that nobody needs: the bytes of every file must be there."""

import random
import threading
import time
from dataclasses import dataclass, field

from audit import Audit
from cluster import Cluster, Tools
from crowd import Record, Watched
from harness.client import Uploader
from harness.connection import Unanswered
from harness.ledger import Promise

CLIENTS = 12
SIZES = (1, 4096, 70_000, 70_001, 1_500_000, 20_000_000)  # one content each; the last is of several objects
WEIGHTS = (4, 4, 4, 4, 2, 1)
EMPTY_LIMIT = 30.0  # seconds after the last deletion


@dataclass
class Tally:
    uploads: int = 0
    downloads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client(threading.Thread):
    def __init__(self, cluster: Cluster, record: Record, tally: Tally, seed: str, end: float):
        super().__init__(daemon=True)
        self._record, self._tally, self._end = record, tally, end
        self._connection = Watched(cluster.door, record)
        self._seed, self._chance = seed, random.Random(seed)

    def run(self):
        number = 0
        while time.monotonic() < self._end:
            number += 1
            size = self._chance.choices(SIZES, WEIGHTS)[0]
            promise = Promise(f"{self._seed} {number}".replace(" ", "-"), "reclaim", size)
            try:
                self._use(promise)
            except Unanswered as error:
                self._record.blame(f"{promise.name}: {error}")
            except Exception as error:
                self._record.blame(f"{promise.name}: {type(error).__name__} {error}")
                return
        self._connection.close()

    def _use(self, promise: Promise):
        uploader = Uploader(self._connection, promise, lambda *_: None)
        uploader.start()
        middle = self._chance.choice((0, 0, promise.size // 2))
        if middle:
            uploader.append(0, middle)
        uploader.complete(middle)
        for _ in range(self._chance.choice((1, 1, 2, 4))):
            self._download(promise)
            if self._chance.random() < 0.3:
                time.sleep(self._chance.uniform(0, 1.5))
        uploader.delete_file()
        with self._tally.lock:
            self._tally.uploads += 1

    def _download(self, promise: Promise):
        answer = self._connection.ask("GET", f"/api/blobs/{promise.digest}")
        if answer.status != 200:
            self._record.blame(f"{promise.name}: its file is there, and its bytes are answered with {answer.text()}")
        elif answer.body != promise.content:
            self._record.blame(f"{promise.name}: other bytes than those of its digest")
        with self._tally.lock:
            self._tally.downloads += 1


def run(tools: Tools, seconds: float, seed: int, name: str = "reclaim", careless: str = "") -> tuple[bool, str]:
    """The part of the test. Returns whether no file was without its bytes, and the line that says so."""
    began = time.monotonic()
    with Cluster(tools, name, careless=careless) as cluster:
        record, tally = Record(), Tally()
        end = time.monotonic() + seconds
        clients = [Client(cluster, record, tally, f"{seed} {number}", end) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        audit = Audit(cluster)
        audit.compare()
        audit.delete_everything()
        emptying = time.monotonic()
        audit.expect_empty_soon(EMPTY_LIMIT)
        emptied = time.monotonic() - emptying
        losses = cluster.found(audit.losses, record.wrong)
        errors = record.unanswered + record.answers[503]
        cluster.is_good = not losses and not errors and not audit.strays
    return cluster.is_good, "\n".join([
        *losses,
        f"{name}: {tally.uploads:,} uploads of {len(SIZES)} contents, {tally.downloads:,} downloads, {errors} errors, "
        f"{audit.strays} objects without a row, the bucket empty after {emptied:.1f} s; {len(losses)} wrong or lost, "
        f"{time.monotonic() - began:.0f} s"])
