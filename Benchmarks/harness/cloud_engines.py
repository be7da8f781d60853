"""What servers on an S3 store stand on: a Ceph with its gateway and a PostgreSQL, started for one work or measurement
alone by the scripts and classes that the tests use."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .process import cpu_seconds

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "Tests/cluster"))
from engines import ACCESS_KEY, POSTGRES_PROGRAMS, SECRET_KEY, Ceph, Guard, Postgres
from s3 import Bucket

__all__ = ["ACCESS_KEY", "DATABASE", "SECRET_KEY", "STORE", "Engines", "installed", "running"]

STORE, DATABASE = "Ceph", "PostgreSQL"
# The store frees nothing in time: this has room for what all servers of a work upload, copies included.
STORE_GIB = 8


def installed() -> bool:
    """Whether this machine has both."""
    return all(map(shutil.which, ("radosgw", "ceph-osd", "ceph-mon"))) and (POSTGRES_PROGRAMS / "initdb").exists()


@dataclass
class Engines:
    """Both, running. A server gets a bucket and a database of its own, which go with the engines."""

    folder: Path
    ceph: Ceph
    postgres: Postgres
    places: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ceph.port}"

    def new_place(self) -> tuple[str, str]:
        """An empty bucket's name, and an empty database's URL."""
        self.places += 1
        name = f"place-{self.places}"
        Bucket(self.ceph.port, name).create()
        return name, self.postgres.create(name)

    def cpu(self) -> dict[str, float]:
        """CPU seconds since they were started: of the gateway and its disk, and of the database."""
        gateway_and_disk = [self.folder / "ceph/run/client.rgw.a.pid", *self.folder.glob("ceph/run/osd.*.pid")]
        postmaster = self.folder / "postgres/data/postmaster.pid"
        return {STORE: sum(map(_cpu_of, gateway_and_disk)), DATABASE: _cpu_of(postmaster)}


@contextlib.contextmanager
def running() -> Iterator[Engines]:
    """One OSD in memory, so that no disk decides; a database that is as durable as PostgreSQL is by default."""
    # Sockets lie in it, whose paths have to be short, and PostgreSQL runs as another user when this is root.
    folder = Path(tempfile.mkdtemp(prefix="blobd-bench-", dir="/tmp"))
    folder.chmod(0o711)
    guard = Guard(folder)
    os.environ["CEPH_MEMORY_GIB"] = str(STORE_GIB)
    try:
        with ThreadPoolExecutor() as pool:
            ceph, postgres = pool.submit(Ceph, folder / "ceph"), pool.submit(Postgres, folder / "postgres")
        yield Engines(folder, ceph.result(), postgres.result())
    finally:
        guard.clean_up()


def _cpu_of(pid_file: Path) -> float:
    return cpu_seconds(int(pid_file.read_text().split()[0]))
