"""The servers that keep their bytes in an S3 store, each in a bucket of its own on the same one."""

import contextlib
from pathlib import Path

from . import cloud_engines
from .bench import Bench, say
from .cloud_engines import ACCESS_KEY, SECRET_KEY, STORE, Engines
from .process import command_output
from .servers import Blobd, Registry, Server


def installed(bench: Bench, *kinds: type[Server]) -> list[Server]:
    """The servers of these kinds that are there; none where an engine is missing."""
    if cloud_engines.installed():
        return bench.servers(*kinds)
    say("Ceph or PostgreSQL is not there, and nothing on an S3 store is measured (Scripts/install-packages test)")
    return []


class OnStore(Server):
    """Mixed into a server: its place on the engines, and what these do for it."""

    engines: Engines  # Set before it runs.
    bucket: str
    database: str

    @contextlib.contextmanager
    def running(self, scratch: Path):
        self.bucket, self.database = self.engines.new_place()
        self.headers = []
        with super().running(scratch):
            yield self

    def behind(self) -> dict[str, float]:
        return self.engines.cpu()


class CloudBlobd(OnStore, Blobd):
    """One node of blobd: bytes in the store, rows in PostgreSQL, the defaults for everything else but the reclaimer's
    interval: blobs that become one object between two rounds would make one round unlike the other."""

    settings = {"reclaim-interval": "1h"}

    def launch(self):
        if not self.headers:
            self.headers = [self.token("benchmark")]
        self._serve("--config", str(self._configuration()))

    def token(self, name: str, *options: str) -> str:
        """A new token, as a header. The first command makes the tables."""
        return f"Authorization: Bearer {self.run('token', 'create', name, *options).strip()}"

    def run(self, *words: str) -> str:
        """Runs a command of blobd on this place, and returns what it printed."""
        return command_output([self.executable, *words, "--config", self._configuration()], directory=self.directory)

    def _configuration(self) -> Path:
        """A file, for its secrets may be in no command line."""
        file = self.directory / "blobd.yaml"
        settings = self.settings | {
            "storage": "cloud", "database": self.database, "s3-endpoint": self.engines.endpoint,
            "s3-bucket": self.bucket, "s3-access-key": ACCESS_KEY, "s3-secret-key": SECRET_KEY,
        }
        file.write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
        return file


class CloudRegistry(OnStore, Registry):
    """docker-registry on its S3 driver. Redirects are off, as they are in blobd: bytes go through the server."""

    def behind(self) -> dict[str, float]:
        return {STORE: super().behind()[STORE]}

    def storage(self) -> str:
        return f"""
  redirect: {{disable: true}}
  s3:
    regionendpoint: {self.engines.endpoint}
    region: us-east-1
    bucket: {self.bucket}
    accesskey: {ACCESS_KEY}
    secretkey: {SECRET_KEY}
    secure: false
"""
