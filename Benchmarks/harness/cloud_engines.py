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

from .cloud_fill import psql
from .process import cpu_seconds

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "Tests/cluster"))
from engines import ACCESS_KEY, POSTGRES_PROGRAMS, SECRET_KEY, Ceph, Guard, Postgres
from s3 import Bucket

__all__ = ["ACCESS_KEY", "DATABASE", "SECRET_KEY", "STORE", "Engines", "installed", "running"]

STORE, DATABASE = "Ceph", "PostgreSQL"
# The store frees nothing in time: this has room for what all servers of a work upload, copies included.
STORE_GIB = 8
# For the time in which tables are filled: nothing of it is worth keeping if the machine fails.
HASTE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
         "shared_buffers": "4GB", "maintenance_work_mem": "1GB", "max_wal_size": "16GB"}


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

    @contextlib.contextmanager
    def hurry(self) -> Iterator[None]:
        """The database with settings that are good for filling tables."""
        self.set(HASTE)
        try:
            yield
        finally:
            self.set(dict.fromkeys(HASTE))

    def set(self, settings: dict[str, str | None]):
        """Starts the database anew with these settings; without those that are None."""
        # The names of auto_explain's settings are known where it is loaded.
        psql(self.postgres.url("postgres"), "LOAD 'auto_explain';\n" + "".join(
            f"ALTER SYSTEM SET {name} = '{value}';\n" if value is not None else f"ALTER SYSTEM RESET {name};\n"
            for name, value in settings.items()))
        self.postgres.restart("fast")

    def cpu(self) -> dict[str, float]:
        """CPU seconds since they were started: of the gateway and its disk, and of the database."""
        gateway_and_disk = [self.folder / "ceph/run/client.rgw.a.pid", *self.folder.glob("ceph/run/osd.*.pid")]
        postmaster = self.folder / "postgres/data/postmaster.pid"
        return {STORE: sum(map(_cpu_of, gateway_and_disk)), DATABASE: _cpu_of(postmaster)}


@contextlib.contextmanager
def running(scratch: Path) -> Iterator[Engines]:
    """One OSD in memory, so that no disk decides; a database that is as durable as PostgreSQL is by default."""
    # Sockets lie in it, whose paths have to be short.
    folder = Path(tempfile.mkdtemp(prefix="e-", dir=scratch))
    # PostgreSQL runs as another user when this is root.
    for each in (scratch, folder):
        each.chmod(0o711)
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
