"""`blobd migrate`, killed at any moment: the data directory stays as it was and its server goes on with downloads, and the
run that ends finds everything brought."""

import hashlib
import random
import subprocess
import time
from pathlib import Path

from audit import Audit
from cluster import Cluster, Tools
from crowd import Crowd, Readers, Record, plans
from harness import blobd
from harness.blobd import Server
from harness.connection import Door
from harness.process import CommandFailed

UPLOADS = 160
FIRST_KILLS = 0.3  # seconds within which the first runs are killed
LAST_KILLS = 1.5  # and the last ones: about as long as a whole one takes
COMMAND = ("migrate", "--from", "local", "--to", "cloud", "--jobs", "2")


def fingerprint(folder: Path) -> dict[str, bytes]:
    """Every file that holds bytes of clients, by its path."""
    files = [file for part in ("blobs", "uploads") for file in (folder / part).rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.blake2b(file.read_bytes()).digest() for file in files}


class Source:
    """The data directory, with a server that only reads once there is something to bring."""

    def __init__(self, tools: Tools, folder: Path, record: Record, seed: int):
        self.folder = folder / "source"
        self._log = folder / "old.log"
        self._blobd = tools.blobd
        writing = Server(tools.blobd, self.folder, self._log)
        self.token = writing.token
        self.crowd = Crowd(Door(writing.port, writing.token), record, plans("migration", UPLOADS, seed))
        self.crowd.finish(60)
        writing.kill()
        self.reading = Server(tools.blobd, self.folder, self._log, options=("--read-only",))
        self.door = Door(self.reading.port, self.token)

    def damage(self) -> list[str]:
        try:
            blobd.run(self._blobd, "check", "--data", str(self.folder))
        except CommandFailed as error:
            return [f"the data directory after it: {error}"]
        return []


def kill_runs(cluster: Cluster, source: Source, kills: int, chance: random.Random) -> tuple[int, set[int], bool]:
    """Starts migrations and kills them. Returns how many were killed, with how many objects in the bucket, and whether
    one was faster."""
    killed, moments = 0, set()
    for number in range(kills):
        limit = FIRST_KILLS + (LAST_KILLS - FIRST_KILLS) * number / kills
        with cluster.begun(*COMMAND, "--data", str(source.folder)) as child:
            try:
                if child.wait(chance.uniform(0.02, limit)) == 0:
                    return killed, moments, True
            except subprocess.TimeoutExpired:
                child.kill()
        killed += 1
        moments.add(len(cluster.bucket.keys()))
    return killed, moments, False


def run(tools: Tools, kills: int, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether nothing was lost, and the lines that say so."""
    began = time.monotonic()
    record = Record()
    cluster = Cluster(tools, "migration", nodes=2)
    source = Source(tools, cluster.folder, record, seed)
    before = fingerprint(source.folder)
    readers = Readers(source.door, source.crowd, str(seed))
    killed, moments, is_over = kill_runs(cluster, source, kills, random.Random(f"{seed} migration"))
    losses = []
    try:
        if not is_over:
            cluster.run(*COMMAND, "--data", str(source.folder))
    except CommandFailed as error:
        losses.append(str(error))
    readers.stop()
    source.reading.kill()
    if fingerprint(source.folder) != before:
        losses.append("the data directory's files are others than before")
    losses += source.damage()
    cluster.token = source.token
    with cluster:
        audit = Audit(cluster).check(source.crowd.ledger)
        losses = cluster.found(losses + audit.losses, record.wrong)
        cluster.is_good = not losses
    return cluster.is_good, "\n".join([
        *losses,
        f"migration: {killed} runs killed with {len(moments)} different numbers of objects, {UPLOADS} uploads, "
        f"{readers.downloads:,} downloads meanwhile; {len(losses)} wrong or lost, {time.monotonic() - began:.0f} s"])
