"""The S3 store and the database of many nodes, private to a run, and a node on them."""

import contextlib
from pathlib import Path

from .cloud_fill import psql
from .process import Process, command_output
from .servers import Blobd

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "Tests" / "engines"
ACCESS_KEY, SECRET_KEY = "blobs", "blobs-secret-key"  # As ceph-up makes them.
# For the time in which the tables are filled: nothing of it is worth keeping if the machine fails.
HASTE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
         "shared_buffers": "4GB", "maintenance_work_mem": "1GB", "max_wal_size": "16GB"}


class Daemon(Process):
    """A process that a script has started, for its CPU time."""

    def __init__(self, pid_file: Path):
        self.pid = int(pid_file.read_text().split()[0])


class Node(Process):
    """A node's process. The CPU time of its engines is a part of what it costs."""

    def __init__(self, command: list[str], directory: Path, engines: list[Daemon]):
        self._engines = engines
        super().__init__(command, directory)

    def cpu_seconds(self) -> float:
        return super().cpu_seconds() + sum(engine.cpu_seconds() for engine in self._engines)


class Engines:
    """A Ceph of one OSD in memory, and a PostgreSQL that is durable as in production but for `hurry`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._ceph = folder / "ceph"
        self._postgres = folder / "postgres"
        self._url = ""

    @contextlib.contextmanager
    def running(self):
        # PostgreSQL runs as another user when this is root, and has to reach its folder.
        for above in (self.folder, self.folder.parent):
            above.mkdir(exist_ok=True)
            above.chmod(0o711)
        try:
            self._start_postgres()
            _script("ceph-up", self._ceph)
            yield self
        finally:
            if (self._postgres / "data" / "postmaster.pid").exists():
                _script("postgres-down", self._postgres, "immediate")
            if (self._ceph / "ceph.conf").exists():
                _script("ceph-down", self._ceph)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{(self._ceph / 'port').read_text().strip()}"

    @property
    def log(self) -> Path:
        """What PostgreSQL writes down."""
        return self._postgres / "log"

    def daemons(self) -> list[Daemon]:
        return [Daemon(self._postgres / "data" / "postmaster.pid"),
                *(Daemon(file) for file in sorted((self._ceph / "run").glob("*.pid")))]

    def url(self, database: str) -> str:
        return self._url.removesuffix("/postgres") + f"/{database}"

    def make(self, name: str):
        """A database and a bucket of this name."""
        psql(self._url, f"CREATE DATABASE {name}")
        command_output(["curl", "--fail", "--silent", "--show-error", "--request", "PUT",
                        "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{ACCESS_KEY}:{SECRET_KEY}",
                        "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD", f"{self.endpoint}/{name}"])

    @contextlib.contextmanager
    def hurry(self):
        """PostgreSQL with settings that are good for filling tables."""
        self.set(HASTE)
        try:
            yield
        finally:
            self.set({name: None for name in HASTE})

    def set(self, settings: dict[str, str | None]):
        """Starts PostgreSQL anew with these settings; without those that are None."""
        # The names of auto_explain's settings are known where it is loaded.
        psql(self._url, "LOAD 'auto_explain';\n" + "".join(
            f"ALTER SYSTEM SET {name} = '{value}';\n" if value is not None else f"ALTER SYSTEM RESET {name};\n"
            for name, value in settings.items()))
        _script("postgres-down", self._postgres)
        self._start_postgres()

    def _start_postgres(self):
        self._url = _script("postgres-up", self._postgres).strip()


class CloudNode(Blobd):
    """A node on a database and a bucket of one name, without the reading of all blobs, which have no bytes here."""

    name = "blobd, one node"

    def __init__(self, executable: Path, engines: Engines, database: str):
        super().__init__(executable)
        self._engines = engines
        self.database = database
        self.directory = engines.folder / f"node-{database}"

    @property
    def database_url(self) -> str:
        return self._engines.url(self.database)

    def command(self, *words: str) -> list[str]:
        """A command of blobd with the node's settings. The file has the secrets, which may be in no command line."""
        self.directory.mkdir(exist_ok=True)
        file = self.directory / "blobd.yaml"
        settings = {
            "storage": "cloud", "database": self.database_url, "s3-endpoint": self._engines.endpoint,
            "s3-bucket": self.database, "s3-access-key": ACCESS_KEY, "s3-secret-key": SECRET_KEY, "scrub-interval": "0s",
            "reclaim-grace": "7d", "max-open-uploads": 1_000_000, "log-level": "warning",
        }
        file.write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
        return [self.executable, *words, "--config", str(file)]

    def run(self, *words: str) -> str:
        return command_output(self.command(*words), directory=self.directory)

    def token(self, name: str, scopes: str) -> str:
        """A new token, as a header. The first of these commands makes the tables."""
        return f"Authorization: Bearer {self.run('token', 'create', name, '--scopes', scopes).strip()}"

    def launch(self):
        self.process = Node(self.command("serve", "--listen", "127.0.0.1:0"), self.directory, self._engines.daemons())
        self.port = self.process.wait_for(self.process.announced_port)
        self.process.wait_for(self._is_ready)


def _script(name: str, *words: str | Path) -> str:
    return command_output([SCRIPTS / name, *words])
