"""Ceph and PostgreSQL for one run alone, by the scripts in Tests/engines, and the ways in which they can be broken."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.process import ENGINES, output, unprivileged
from harness.s3 import ACCESS_KEY, SECRET_KEY, Bucket

POSTGRES_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PSQL = [POSTGRES_PROGRAMS / "psql", "-XqAtF", "\t", "-v", "ON_ERROR_STOP=1", "-d"]


class Guard:
    """A process that ends everything that runs in a folder, and removes it, as soon as this one is gone for any reason."""

    def __init__(self, folder: Path):
        self._child = subprocess.Popen([sys.executable, Path(__file__).with_name("guard.py"), folder],
                                       stdin=subprocess.PIPE, start_new_session=True)

    def clean_up(self):
        self._child.stdin.close()
        self._child.wait()


class Ceph:
    """A cluster of its own with an S3 gateway."""

    def __init__(self, folder: Path, osds: int = 1):
        self.folder = folder
        subprocess.run([ENGINES / "ceph-up", folder, str(osds)], check=True, stdout=subprocess.DEVNULL)
        self.port = int((folder / "port").read_text())

    def kill_osd(self, number: int):
        os.kill(int((self.folder / f"run/osd.{number}.pid").read_text()), signal.SIGKILL)

    def start_osd(self, number: int):
        subprocess.run(["ceph-osd", "-i", str(number)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=self._environment)

    def wait_for_osds(self, count: int, seconds: float = 60):
        """Until the monitor counts so many as up."""
        end = time.monotonic() + seconds
        while f" {count} up" not in self._ceph("osd", "stat"):
            if time.monotonic() > end:
                raise TimeoutError(f"not {count} OSDs are up after {seconds:.0f} s")
            time.sleep(0.2)

    @property
    def _environment(self) -> dict[str, str]:
        return os.environ | {"CEPH_CONF": str(self.folder / "ceph.conf")}

    def _ceph(self, *arguments: str) -> str:
        return subprocess.check_output(["ceph", *arguments], text=True, env=self._environment,
                                       stderr=subprocess.DEVNULL)


class Postgres:
    """A database server of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._url = subprocess.check_output([ENGINES / "postgres-up", folder], text=True).strip()
        self.port = urlsplit(self._url).port

    def url(self, database: str) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Makes an empty database and returns its URL."""
        self.query("postgres", f'CREATE DATABASE "{database}"')
        return self.url(database)

    def query(self, database: str, sql: str) -> list[list[str]]:
        return psql(self.url(database), sql)

    @contextlib.contextmanager
    def holding(self, database: str, table: str):
        """While this is entered, statements that change the table wait."""
        command = ["setpriv", "--pdeathsig", "KILL", *PSQL, self.url(database)]
        session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            session.stdin.write(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE; SELECT 'held';\n")
            session.stdin.flush()
            session.stdout.readline()
            yield
        finally:
            session.communicate("COMMIT;\n")

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def restart(self, mode: str):
        """`immediate` is a crash, after which the log is replayed."""
        command = [*unprivileged(), POSTGRES_PROGRAMS / "pg_ctl", "--silent", "--wait", f"--mode={mode}",
                   f"--pgdata={self.folder}/data", f"--log={self.log}", "restart"]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)

    def set(self, settings: dict[str, str | None]):
        """Restarts with these settings; without those that are None."""
        # The names of auto_explain's settings are known where it is loaded.
        self.query("postgres", "LOAD 'auto_explain';\n" + "".join(
            f"ALTER SYSTEM SET {name} = '{value}';\n" if value is not None else f"ALTER SYSTEM RESET {name};\n"
            for name, value in settings.items()))
        self.restart("fast")

    def terminate(self, database: str, chance: random.Random, share: float) -> int:
        """Ends this share of the nodes' connections, whatever they are doing. Returns how many it ended."""
        rows = self.query("postgres", f"""
            SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
                WHERE datname = '{database}' AND application_name <> 'psql'
                    AND md5(pid::text || '{chance.random()}') < '{int(share * 255):02x}' OFFSET 0) AS chosen""")
        return int(rows[0][0])

    def pause(self):
        """SIGSTOP to every process of the server."""
        self._signal(signal.SIGSTOP)

    def go_on(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals):
        main = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        for pid in [main, *children(main)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def psql(url: str, sql: str) -> list[list[str]]:
    """Runs statements; the rows of all of them, as text."""
    return [line.split("\t") for line in output([*PSQL, url], given=sql).splitlines()]


def children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
    return found


@dataclass(frozen=True)
class Place:
    """An empty bucket and an empty database of one name, for nodes of blobd."""

    bucket: Bucket
    database: str  # its URL
    name: str

    def settings(self) -> dict[str, str]:
        """Of blobd, for a node that keeps everything here."""
        return {"storage": "cloud", "database": self.database, "s3-endpoint": self.bucket.endpoint, "s3-bucket": self.name,
                "s3-access-key": ACCESS_KEY, "s3-secret-key": SECRET_KEY}


@dataclass(frozen=True)
class Engines:
    """Both, running."""

    folder: Path
    ceph: Ceph
    postgres: Postgres

    def new_place(self, name: str) -> Place:
        bucket = Bucket(self.ceph.port, name)
        bucket.create()
        return Place(bucket, self.postgres.create(name), name)


def are_installed() -> bool:
    return all(map(shutil.which, ("radosgw", "ceph-osd", "ceph-mon"))) and (POSTGRES_PROGRAMS / "initdb").exists()


@contextlib.contextmanager
def running(scratch: Path) -> Iterator[Engines]:
    """One OSD in memory, so that no disk decides; a database that is as durable as PostgreSQL is by default. What else
    runs in their folder ends with them, and all of it goes. Sockets lie in it: the path of `scratch` has to be short."""
    folder = Path(tempfile.mkdtemp(prefix="e-", dir=scratch))
    folder.chmod(0o711)  # PostgreSQL runs as another user when this is root
    guard = Guard(folder)
    try:
        with ThreadPoolExecutor() as pool:
            ceph, postgres = pool.submit(Ceph, folder / "ceph"), pool.submit(Postgres, folder / "postgres")
        yield Engines(folder, ceph.result(), postgres.result())
    finally:
        guard.clean_up()
