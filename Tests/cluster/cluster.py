"""Several nodes of blobd on one Ceph and one PostgreSQL, behind nginx."""

import collections
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from balancer import Balancer
from harness import blobd
from harness.blobd import Server, as_variables
from harness.connection import Door
from harness.engines import Ceph, Place, Postgres
from harness.process import clean_environment, free_ports
from harness.s3 import Bucket

NODES = 3
# Nothing is kept for later: an object that is removed too early, or never, shows.
SETTINGS = {"restore-window": "0s", "reclaim-grace": "0s", "reclaim-interval": "1s", "scrub-interval": "0s",
            "max-open-uploads": "1000000"}
# But for connections that end, which is no error of a statement.
DATABASE_ERROR = re.compile(rb"ERROR: +((?!canceling statement|what was published is gone)[^\n]*)")
KEPT_LINES = 400  # of each log
MOST_LINES = 10  # of findings that are printed


@dataclass
class Tools:
    """The tools of every part of the test."""

    blobd: Path
    scratch: Path
    kept: Path  # where the logs of a loss are kept
    ceph: Ceph
    postgres: Postgres


def endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"


class Cluster:
    """The nodes of one part of the test, with a database and a bucket of their own. A context manager."""

    def __init__(self, tools: Tools, name: str, settings: dict[str, str] | None = None, s3_port: int | None = None,
                 ceph: Ceph | None = None, database: str | None = None, careless: str = "", nodes: int = NODES):
        """`s3_port` and `database`: the way to both, where something stands before them. `careless`: SQL that takes away
        some of the care that the nodes' functions in the database take; findings are expected then."""
        self.tools = tools
        self.name = name
        self.folder = tools.scratch / name
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.store_port = (ceph or tools.ceph).port
        self.bucket = Bucket(self.store_port, name)
        self.bucket.create()
        place = Place(self.bucket, database or tools.postgres.create(name), name)
        self._settings = SETTINGS | place.settings() | {
            "s3-endpoint": endpoint(s3_port or self.store_port), "data": str(self.folder / "data")} | (settings or {})
        self._ports = free_ports(nodes)
        self._log_start = tools.postgres.log.stat().st_size
        self._starts: collections.Counter[int] = collections.Counter()
        self.nodes: list[Server] = []
        self._careless = careless
        self.token = ""
        self.is_good = True
        self.findings: list[str] = []

    def __enter__(self):
        self.token = self.token or self.run("token", "create", "test").strip()
        if self._careless:
            self.query(self._careless)
        self.nodes = [self._started(number) for number in range(len(self._ports))]
        self.balancer = Balancer(self.folder / "nginx", self._ports)
        return self

    def __exit__(self, kind, *_):
        if kind or not (self.is_good or self._careless):
            self._keep_logs()
        for node in self.nodes:
            node.kill()
        if hasattr(self, "balancer"):
            self.balancer.stop()

    @property
    def door(self) -> Door:
        """Of the balancer."""
        return self.balancer.door(self.token)

    def door_without(self, number: int) -> Door:
        """Of the balancer, to all nodes but this one."""
        return self.balancer.door(self.token, without=number)

    def start(self, number: int):
        """A node again, after it was killed, on the port that it had."""
        self.nodes[number] = self._started(number)

    def run(self, *arguments: str, s3_port: int | None = None) -> str:
        """A command of blobd beside the nodes, maybe with another way to the store; returns what it prints."""
        other = {"s3-endpoint": endpoint(s3_port)} if s3_port else {}
        return blobd.run(self.tools.blobd, *arguments, settings=self._settings | other)

    def begun(self, *arguments: str) -> subprocess.Popen:
        """A command of blobd that goes on."""
        return subprocess.Popen([self.tools.blobd, *arguments], env=clean_environment() | as_variables(self._settings),
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(self, sql: str) -> list[list[str]]:
        return self.tools.postgres.query(self.name, sql)

    def database_errors(self) -> list[str]:
        """The nodes' statements that the database refused, each kind once. Wrong statements look like an outage to
        clients."""
        with self.tools.postgres.log.open("rb") as log:
            log.seek(self._log_start)
            found = collections.Counter(map(bytes.decode, DATABASE_ERROR.findall(log.read())))
        return [f"{count} times the database says: {text}" for text, count in found.items()]

    def readiness(self, number: int) -> int:
        """The status of a node's answer to /ready; 0 when there is none."""
        try:
            with urllib.request.urlopen(f"{endpoint(self._ports[number])}/ready", timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def found(self, losses: list[str], wrong: Iterable[str] = ()) -> list[str]:
        """Keeps the findings of a part, and returns the first of them as lines."""
        self.findings = [f"LOST  {sentence}" for sentence in losses]
        self.findings += [f"WRONG {sentence}" for sentence in [*wrong, *self.database_errors()]]
        more = len(self.findings) - MOST_LINES
        return self.findings[:MOST_LINES] + ([f"and {more} more"] if more > 0 else [])

    def _started(self, number: int) -> Server:
        log = self.folder / f"node-{number}.{self._starts[number]}.log"
        self._starts[number] += 1
        return Server(self.tools.blobd, self.folder / "data", log, settings=self._settings,
                      port=self._ports[number], token=self.token)

    def _keep_logs(self):
        kept = self.tools.kept / self.name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        logs = [*self.folder.glob("*.log"), self.folder / "nginx/error.log", self.tools.postgres.log]
        for log in logs:
            if log.is_file():
                lines = log.read_text(errors="replace").splitlines(keepends=True)
                (kept / (log.name if log.name != "log" else "postgres.log")).write_text("".join(lines[-KEPT_LINES:]))
        (kept / "findings").write_text("".join(f"{line}\n" for line in self.findings))
        print(f"{self.name}: what was found and the ends of the logs are in {kept}", flush=True)
