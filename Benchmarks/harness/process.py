"""One server process, its children, and what the kernel knows about them."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server did not start, or ended on its own."""


def free_port() -> int:
    """A loopback port that was free a moment ago; for servers that cannot be told to choose one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment() -> dict[str, str]:
    """A setting that the caller's shell happens to export must not change what is measured. docker-registry's S3 driver
    panics where AWS_CA_BUNDLE is set."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("BLOBD_", "REGISTRY_", "AWS_"))}


def command_output(command: list[str | Path], given: str = "", directory: Path | None = None) -> str:
    """Runs a command to its end; what it printed."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, cwd=directory, env=clean_environment())
    if done.returncode != 0:
        raise ServerFailed(f"{command[0]}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return done.stdout


class Process:
    """A running command, its output in a file. It ends with this program, whatever ends this program."""

    def __init__(self, command: list[str], directory: Path):
        self.output = directory / "output"
        with self.output.open("wb") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory, env=clean_environment())
        self.pid = self._child.pid

    def wait_for(self, condition, seconds: float = 60):
        """Polls until `condition` gives something true, and returns that."""
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            if self._child.poll() is not None or time.monotonic() > deadline:
                said = self.output.read_text(errors="replace")[-2000:]
                raise ServerFailed(f"{' '.join(self._child.args[3:])} did not come up: {said}")
            time.sleep(0.002)
        return result

    def announced_port(self) -> int | None:
        """The port in the line `… is ready on https?://127.0.0.1:PORT`, once it has been printed."""
        found = re.search(r"is ready on https?://127\.0\.0\.1:(\d+)\s", self.output.read_text(errors="replace"))
        return int(found[1]) if found else None

    def end(self):
        """SIGTERM, and SIGKILL to one that does not heed it."""
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def cpu_seconds(self) -> float:
        """User and system time of all threads and living children, and of the children already reaped."""
        return cpu_seconds(self.pid)

    def memory_mib(self, field: str = "VmRSS") -> float:
        """Resident memory of the process and its children: `VmRSS` now, `VmHWM` at its peak."""
        return sum(int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
                   for pid in _tree(self.pid)) / 1024


def cpu_seconds(root: int) -> float:
    """User and system time of a process with all threads and living children, and of the children already reaped."""
    ticks = 0
    for pid in _tree(root):
        # A child may end between the two looks, and then counts among those that its parent reaped.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            ticks += sum(map(int, _stat(pid)[11:13]))
    return (ticks + sum(map(int, _stat(root)[13:15]))) / TICKS_PER_SECOND


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                continue  # the thread has ended meanwhile, and servers do not start children from such ones
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, the name, may contain anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def machine_busy_seconds() -> float:
    """CPU seconds that all cores together have spent on anything, or lost to other guests of their host."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
