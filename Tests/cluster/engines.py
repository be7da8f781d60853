"""Ceph and PostgreSQL for this test alone, by the scripts in Tests/engines, and the ways in which they can be broken."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

SCRIPTS = Path(__file__).resolve().parent.parent / "engines"
POSTGRES_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
ACCESS_KEY, SECRET_KEY = "blobs", "blobs-secret-key"  # as ceph-up makes them


def free_ports(count: int) -> list[int]:
    return [int(line) for line in subprocess.check_output([SCRIPTS / "free-ports", str(count)], text=True).split()]


def unprivileged() -> list[str]:
    """What to put before a command that refuses to run as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []


class Guard:
    """A process that ends whatever runs in a folder, and removes it, as soon as this one is gone for whatever reason."""

    def __init__(self, folder: Path):
        self._child = subprocess.Popen([sys.executable, Path(__file__).with_name("guard.py"), folder],
                                       stdin=subprocess.PIPE, start_new_session=True)

    def clean_up(self):
        self._child.stdin.close()
        self._child.wait()


class Ceph:
    """A cluster of its own with an S3 gateway."""

    def __init__(self, folder: Path, osds: int = 1):
        self._folder = folder
        subprocess.run([SCRIPTS / "ceph-up", folder, str(osds)], check=True, stdout=subprocess.DEVNULL)
        self.port = int((folder / "port").read_text())

    def kill_osd(self, number: int):
        os.kill(int((self._folder / f"run/osd.{number}.pid").read_text()), signal.SIGKILL)

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
        return os.environ | {"CEPH_CONF": str(self._folder / "ceph.conf")}

    def _ceph(self, *arguments: str) -> str:
        return subprocess.check_output(["ceph", *arguments], text=True, env=self._environment,
                                       stderr=subprocess.DEVNULL)


class Postgres:
    """A database server of its own."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._url = subprocess.check_output([SCRIPTS / "postgres-up", folder], text=True).strip()
        self.port = urlsplit(self._url).port

    def url(self, database: str) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Makes an empty database and returns its URL."""
        self.query("postgres", f'CREATE DATABASE "{database}"')
        return self.url(database)

    def query(self, database: str, sql: str) -> list[list[str]]:
        """The rows of the last statement."""
        output = subprocess.check_output(self._psql(database) + ["-c", sql], text=True)
        return [line.split("\t") for line in output.splitlines()]

    def _psql(self, database: str) -> list[str]:
        return [POSTGRES_PROGRAMS / "psql", "-XqAtF", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database)]

    @contextlib.contextmanager
    def holding(self, database: str, table: str):
        """While this is entered, statements that change the table wait."""
        command = ["setpriv", "--pdeathsig", "KILL", *self._psql(database)]
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
        return self._folder / "log"

    def restart(self, mode: str):
        """`immediate` is a crash, after which the log is replayed."""
        command = [*unprivileged(), POSTGRES_PROGRAMS / "pg_ctl", "--silent", "--wait", f"--mode={mode}",
                   f"--pgdata={self._folder}/data", f"--log={self.log}", "restart"]
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)

    def terminate(self, database: str, chance: random.Random, share: float) -> int:
        """Ends this share of the nodes' connections, whatever they are doing. Returns how many were."""
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
        main = int((self._folder / "data/postmaster.pid").read_text().split()[0])
        for pid in [main, *children(main)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
    return found
