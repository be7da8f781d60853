"""The servers that keep their bytes in an S3 store, each in a bucket of its own on the same one, and their engines:
a Ceph with its gateway and a PostgreSQL, started for one work or measurement alone."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from harness import blobd, engines
from harness.engines import Engines, Place
from harness.s3 import ACCESS_KEY, SECRET_KEY

from .bench import Bench, say
from .servers import Blobd, Registry, Server
from .usage import cpu_seconds

STORE, DATABASE = "Ceph", "PostgreSQL"
# The store frees nothing in time: this has room for the uploads of all servers of a work, copies included.
STORE_GIB = 8
NUMBERS = itertools.count(1)  # of places


def installed(bench: Bench, *kinds: type[Server]) -> list[Server]:
    """The servers of these kinds that are there; none where an engine is missing."""
    if engines.are_installed():
        return bench.servers(*kinds)
    say("Ceph or PostgreSQL is not there, and nothing on an S3 store is measured (Scripts/install-packages test)")
    return []


@contextlib.contextmanager
def running_engines(bench: Bench) -> Iterator[Engines]:
    bench.scratch.chmod(0o711)  # PostgreSQL runs as another user when this is root
    os.environ["CEPH_MEMORY_GIB"] = str(STORE_GIB)
    with engines.running(bench.scratch) as both:
        yield both


class OnStore(Server):
    """Mixed into a server: its place on the engines, and their CPU time for it."""

    engines: Engines  # Set before it runs.
    place: Place

    @contextlib.contextmanager
    def running(self, scratch: Path):
        self.place = self.engines.new_place(f"place-{next(NUMBERS)}")
        self.headers = []
        with super().running(scratch):
            yield self

    def behind(self) -> dict[str, float]:
        """Of the gateway and its disk, and of the database."""
        ceph = self.engines.ceph.folder / "run"
        gateway_and_disk = [ceph / "client.rgw.a.pid", *ceph.glob("osd.*.pid")]
        postmaster = self.engines.postgres.folder / "data/postmaster.pid"
        return {STORE: sum(map(_cpu_of, gateway_and_disk)), DATABASE: _cpu_of(postmaster)}


class CloudBlobd(OnStore, Blobd):
    """One node of blobd: bytes in the store, rows in PostgreSQL, the defaults for everything else but the reclaimer's
    interval: blobs that become one object between two rounds would make one round unlike the other."""

    settings = {"reclaim-interval": "1h"}

    def launch(self):
        if not self.headers:
            self.headers = [self.token("benchmark")]
        token = self.headers[0].rpartition(" ")[2]
        self._serve(settings=self.place.settings() | self.settings, token=token)

    def token(self, name: str, *options: str) -> str:
        """A new token, as a header. The first command makes the tables."""
        return f"Authorization: Bearer {self.run('token', 'create', name, *options).strip()}"

    def run(self, *words: str) -> str:
        """Runs a command of blobd on this place, and returns its output."""
        return blobd.run(Path(self.executable), *words, settings=self.place.settings() | self.settings)


class CloudRegistry(OnStore, Registry):
    """docker-registry on its S3 driver. Redirects are off, as they are in blobd: bytes go through the server."""

    def behind(self) -> dict[str, float]:
        return {STORE: super().behind()[STORE]}

    def storage(self) -> str:
        return f"""
  redirect: {{disable: true}}
  s3:
    regionendpoint: {self.place.bucket.endpoint}
    region: us-east-1
    bucket: {self.place.name}
    accesskey: {ACCESS_KEY}
    secretkey: {SECRET_KEY}
    secure: false
"""


def _cpu_of(pid_file: Path) -> float:
    return cpu_seconds(int(pid_file.read_text().split()[0]))
