"""The servers that are compared: how each is started, addressed, and spoken to."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from harness import blobd
from harness.process import Process, free_ports

LARGE = 512 << 20  # bytes of a folder that is not kept until the end
# Where Debian puts servers; not on everybody's path.
SEARCH_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin"


class Server:
    """A server in a folder of its own. A subclass says how to start it and how its blobs are addressed."""

    name: str
    protocol: str  # The load generator's name for its upload requests.
    idle_path: str  # APIs: a cheap request, to have spoken on a connection at all.
    headers: list[str] = []

    def __init__(self, executable: str | Path):
        self.executable = str(executable)
        self.directory: Path | None = None
        self.process: Process | None = None
        self.port = 0

    def launch(self):
        """Starts the process in `self.directory` and sets `self.port`; returns when it serves."""
        raise NotImplementedError

    def blob_path(self, digest: str) -> str:
        """Where a blob is downloaded."""
        raise NotImplementedError

    def behind(self) -> dict[str, float]:
        """CPU seconds of other processes that work for this one, by their name."""
        return {}

    @contextlib.contextmanager
    def running(self, scratch: Path):
        """The server on a new, empty folder, which goes when the block ends."""
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.protocol}-", dir=scratch))
        try:
            with self.serving():
                yield self
        finally:
            # ext4 steps over the inodes of files that went within the last minute, one by one, when it makes new ones:
            # the next server would pay for this one's. Folders of small files therefore stay until the end.
            if sum(file.stat().st_size for file in self.directory.rglob("*") if file.is_file()) > LARGE:
                shutil.rmtree(self.directory, ignore_errors=True)

    @contextlib.contextmanager
    def serving(self):
        """The server on the folder it has; for a work that stops and starts it."""
        try:
            self.launch()
            yield self
        finally:
            self.stop()

    def stop(self):
        """Ends the process, if there is one."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def _run(self, *command: str):
        # nginx's workers would outlive it if it were killed.
        self.process = Process([self.executable, *command], self.directory / "output", directory=self.directory,
                               dies_by="TERM")

    def _run_on_port(self, *command: str):
        self._run(*command)
        self.process.wait_until_it_listens(self.port)


class Blobd(Server):
    """The program under test, as a newcomer starts it, without the request log and the free-space floor."""

    name = "blobd"
    protocol = "blobd"
    idle_path = "/health"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def launch(self):
        self._serve()

    def _serve(self, *options: str, settings: dict[str, str] | None = None, token: str = ""):
        self.process = blobd.Server(Path(self.executable), self.data, self.directory / "output", options=options,
                                    settings=settings, token=token)
        self.port = self.process.port
        self.headers = [f"Authorization: Bearer {self.process.token}"]

    def blob_path(self, digest):
        return f"/api/blobs/{digest}"


class OtherBlobd(Blobd):
    """Another version of it, to see what a change costs."""

    name = "blobd, the other"


class Nginx(Server):
    """Files by sendfile, uploads by DAV PUT. It neither hashes nor syncs an upload."""

    name = "nginx"
    protocol = "put"
    caching = ""

    def launch(self):
        self.port = free_ports(1)[0]
        (self.directory / "files").mkdir()
        configuration = self.directory / "nginx.conf"
        configuration.write_text(self._configuration())
        self._run_on_port("-p", str(self.directory), "-e", "stderr", "-c", str(configuration))

    def _configuration(self) -> str:
        # As root it would give its workers to nobody, who may not look into a private folder.
        user = "user root root;" if os.geteuid() == 0 else ""
        return f"""
            {user}
            daemon off;
            worker_processes 2;
            pid nginx.pid;
            events {{ worker_connections 4096; }}
            http {{
                sendfile on;
                tcp_nopush on;
                access_log off;
                keepalive_requests 1000000000;
                keepalive_timeout 600s;
                client_max_body_size 0;
                client_body_buffer_size 256k;
                client_body_temp_path body;
                proxy_temp_path proxy;
                fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi;
                scgi_temp_path scgi;
                {self.caching}
                server {{
                    listen 127.0.0.1:{self.port} backlog=4096;
                    root files;
                    default_type application/octet-stream;
                    dav_methods PUT;
                }}
            }}
            """

    def blob_path(self, digest):
        return f"/{digest}"


class CachingNginx(Nginx):
    """nginx that keeps descriptors open: the least a file server does per request."""

    name = "nginx, open_file_cache"
    caching = """
        open_file_cache max=4000 inactive=600s;
        open_file_cache_valid 600s;
        """


class Registry(Server):
    """CNCF Distribution, an API of the same lineage, on its filesystem driver. It syncs the files that it writes."""

    name = "docker-registry"
    protocol = "registry"
    idle_path = "/v2/"

    def launch(self):
        self.port = free_ports(1)[0]
        configuration = self.directory / "registry.yml"
        # Debian's own configuration (with its descriptor cache, which helps), without the log and the password.
        configuration.write_text(f"""
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  delete: {{enabled: true}}
{self.storage()}
http: {{addr: "127.0.0.1:{self.port}", secret: benchmark}}
""")
        self._run_on_port("serve", str(configuration))

    def storage(self) -> str:
        """The driver that keeps the bytes, as it stands in the configuration."""
        return f"""  filesystem: {{rootdirectory: {self.directory / "data"}}}"""

    def blob_path(self, digest):
        return f"/v2/benchmark/blobs/sha256:{digest}"


class Floor(Server):
    """floor.c: the least that receiving, hashing, writing and syncing can cost."""

    name = "C floor"
    protocol = "put"

    def launch(self):
        (self.directory / "files").mkdir()
        self._run(str(self.directory / "files"))
        self.port = self.process.wait_for(self.process.announced_port)

    def blob_path(self, digest):
        raise NotImplementedError("the floor does not serve downloads")


def installed_nginx() -> str | None:
    """nginx, if this machine has it; every package of Debian's has the DAV module."""
    return shutil.which("nginx", path=SEARCH_PATH)


def installed_registry() -> str | None:
    """Debian's docker-registry."""
    return shutil.which("docker-registry", path=SEARCH_PATH)
