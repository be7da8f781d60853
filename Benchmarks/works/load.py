"""The C programs: how they are compiled, and the load generator's command line."""

import contextlib
import json
import resource
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from .servers import Server
from .usage import cpu_seconds, machine_busy_seconds

SOURCES = Path(__file__).resolve().parent.parent
TIMEOUT = 900  # Seconds after which a run is taken for hung.


class LoadFailed(Exception):
    """The load generator got an answer that it did not expect."""


def compile_c(sources: list[Path], program: Path):
    """Compiles a program against libcrypto."""
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", *map(str, sources), "-lcrypto", "-o", str(program)],
                   check=True)


@dataclass(frozen=True)
class Sample:
    """One measurement of one server."""

    cpu: float  # CPU seconds of the server.
    jobs: int
    bytes: int
    seconds: float
    p99: float  # Microseconds, of a whole job.
    others: float  # Share of the machine's CPU time that none of these used: server, load generator, engines.
    behind: dict[str, float] = field(default_factory=dict)  # CPU seconds of the server's engines.
    p50: float = 0


class Load:
    """The load generator, compiled into the scratch folder."""

    def __init__(self, scratch: Path, cores: int):
        self._program = scratch / "load"
        self._cores = cores
        compile_c(sorted((SOURCES / "load").glob("*.c")), self._program)

    def command(self, server: Server, mode: str, **options) -> list[str]:
        """The command line. `True` makes an option without a value."""
        words = [str(self._program), mode, "--port", str(server.port)]
        if mode != "get":
            words += ["--protocol", server.protocol]
        for header in server.headers:
            words += ["--header", header]
        for name, value in options.items():
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return words

    def run(self, server: Server, mode: str, **options) -> dict:
        """Runs to the end and returns its report."""
        done = subprocess.run(self.command(server, mode, **options), capture_output=True, text=True, timeout=TIMEOUT)
        if done.returncode != 0:
            raise LoadFailed(f"{server.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def measure(self, server: Server, mode: str, **options) -> Sample:
        """Runs to the end, with the server's CPU time read before and after."""
        started, busy, own, cpu = time.monotonic(), machine_busy_seconds(), _own_cpu(), cpu_seconds(server.process.pid)
        behind = server.behind()
        report = self.run(server, mode, **options)
        cpu = cpu_seconds(server.process.pid) - cpu
        behind = {name: seconds - behind[name] for name, seconds in server.behind().items()}
        others = machine_busy_seconds() - busy - cpu - sum(behind.values()) - (_own_cpu() - own)
        elapsed = time.monotonic() - started
        return Sample(cpu, report["jobs"], report["bytes"], report["seconds"], report["p99"],
                      max(0.0, others / (elapsed * self._cores)), behind, report["p50"])

    @contextlib.contextmanager
    def in_background(self, server: Server, mode: str, **options):
        """Runs until the block ends, finished or not."""
        child = subprocess.Popen(self.command(server, mode, **options), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
        try:
            yield child
            if child.poll() not in (None, 0):
                raise LoadFailed(f"{server.name}: {child.stderr.read().strip()}")
        finally:
            child.terminate()
            child.communicate()

    def upload(self, server: Server, mode: str, scratch: Path, **options) -> list[str]:
        """Uploads `count` blobs and returns their digests."""
        digests = scratch / "digests"
        self.run(server, mode, digests=digests, **options)
        return digests.read_text().split()


def _own_cpu() -> float:
    """CPU seconds of this program and of the load generators it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
