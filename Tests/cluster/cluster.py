"""Several nodes of blobd on one Ceph and one PostgreSQL, behind nginx."""

import collections
import shutil
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from balancer import Balancer
from engines import ACCESS_KEY, SECRET_KEY, Ceph, Postgres, free_ports
from s3 import Bucket
from server import Door, Server, clean_environment

NODES = 3
# Nothing is kept for later: what is removed too early, or never, shows.
SETTINGS = {"restore-window": "0s", "reclaim-grace": "0s", "reclaim-interval": "1s", "scrub-interval": "0s",
            "max-open-uploads": "1000000"}
KEPT_LINES = 400  # of each log


@dataclass
class Tools:
    """What every part of the test is given."""

    blobd: Path
    scratch: Path
    kept: Path  # where the logs of a loss are kept
    ceph: Ceph
    postgres: Postgres


class CommandFailed(Exception):
    """A command of blobd ended with an error."""


def endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"


class Cluster:
    """The nodes of one part of the test, with a database and a bucket of their own. A context manager."""

    def __init__(self, tools: Tools, name: str, settings: dict[str, str] | None = None, s3_port: int | None = None,
                 ceph: Ceph | None = None, database: str | None = None):
        """`s3_port` and `database`: the way to both, where something stands before them."""
        self.tools = tools
        self.name = name
        self.folder = tools.scratch / name
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.store_port = (ceph or tools.ceph).port
        self.bucket = Bucket(self.store_port, name)
        self.bucket.create()
        self._settings = SETTINGS | {
            "storage": "cloud", "database": database or tools.postgres.create(name),
            "s3-endpoint": endpoint(s3_port or self.store_port), "s3-bucket": name, "s3-access-key": ACCESS_KEY,
            "s3-secret-key": SECRET_KEY, "data": str(self.folder / "data"),
        } | (settings or {})
        self._ports = free_ports(NODES)
        self._starts: collections.Counter[int] = collections.Counter()
        self.nodes: list[Server] = []
        self.is_good = True

    def __enter__(self):
        self.token = self.run("token", "create", "test").strip()
        self.nodes = [self._started(number) for number in range(NODES)]
        self.balancer = Balancer(self.folder / "nginx", self._ports)
        return self

    def __exit__(self, kind, *_):
        if kind or not self.is_good:
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
        settings = {"s3-endpoint": endpoint(s3_port)} if s3_port else {}
        result = subprocess.run([self.tools.blobd, *arguments], env=clean_environment() | self._variables(settings),
                                capture_output=True, text=True, timeout=120)
        if result.returncode:
            raise CommandFailed(f"blobd {' '.join(arguments)}: {result.stdout[-500:]}{result.stderr[-1500:]}")
        return result.stdout

    def query(self, sql: str) -> list[list[str]]:
        return self.tools.postgres.query(self.name, sql)

    def readiness(self, number: int) -> int:
        """The status of a node's answer to /ready."""
        try:
            with urllib.request.urlopen(f"{endpoint(self._ports[number])}/ready", timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def _started(self, number: int) -> Server:
        log = self.folder / f"node-{number}.{self._starts[number]}.log"
        self._starts[number] += 1
        return Server(self.tools.blobd, self.folder / "data", log, variables=self._variables(),
                      port=self._ports[number], token=self.token)

    def _variables(self, settings: dict[str, str] | None = None) -> dict[str, str]:
        """Of the environment, for its settings and these."""
        all_ = self._settings | (settings or {})
        return {f"BLOBD_{name.replace('-', '_').upper()}": value for name, value in all_.items()}

    def _keep_logs(self):
        kept = self.tools.kept / self.name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        logs = [*self.folder.glob("*.log"), self.folder / "nginx/error.log", self.tools.scratch / "postgres/log"]
        for log in logs:
            if log.is_file():
                lines = log.read_text(errors="replace").splitlines(keepends=True)
                (kept / (log.name if log.name != "log" else "postgres.log")).write_text("".join(lines[-KEPT_LINES:]))
        print(f"{self.name}: the ends of the logs are in {kept}", flush=True)
