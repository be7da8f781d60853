"""The servers that keep their bytes in an S3 store, each in a bucket of its own on the same one."""

import contextlib
import subprocess
from pathlib import Path

from .cloud_engines import ACCESS_KEY, SECRET_KEY, STORE, Engines
from .process import ServerFailed, clean_environment
from .servers import Blobd, Registry, Server


class OnStore(Server):
    """Mixed into a server: its place on the engines, and what these do for it."""

    engines: Engines  # Set before it runs.
    bucket: str
    database: str

    @contextlib.contextmanager
    def running(self, scratch: Path):
        self.bucket, self.database = self.engines.new_place()
        with super().running(scratch):
            yield self

    def behind(self) -> dict[str, float]:
        return self.engines.cpu()


class CloudBlobd(OnStore, Blobd):
    """One node of blobd: bytes in the store, rows in PostgreSQL, the defaults for everything else but the reclaimer's
    interval: blobs that become one object between two rounds would make one round unlike the other."""

    def launch(self):
        configuration = self.directory / "blobd.yaml"
        configuration.write_text(f"""
storage: cloud
database: {self.database}
s3-endpoint: {self.engines.endpoint}
s3-bucket: {self.bucket}
s3-access-key: {ACCESS_KEY}
s3-secret-key: {SECRET_KEY}
reclaim-interval: 1h
""")
        self.headers = [f"Authorization: Bearer {self._new_token(configuration)}"]
        self._serve("--config", str(configuration))

    def _new_token(self, configuration: Path) -> str:
        done = subprocess.run([self.executable, "token", "create", "benchmark", "--config", str(configuration)],
                              cwd=self.directory, env=clean_environment(), capture_output=True, text=True)
        if done.returncode != 0:
            raise ServerFailed(f"no token can be made: {done.stderr[-2000:]}")
        return done.stdout.strip()


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
