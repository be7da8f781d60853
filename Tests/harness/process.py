"""A process that ends with the test or benchmark that started it, and its environment, ports and user."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ENGINES = Path(__file__).resolve().parent.parent / "engines"  # the scripts that start them
READY = re.compile(rb"is ready on https?://127\.0\.0\.1:(\d+)\s")
START_LIMIT = 60.0  # seconds after which a start has failed


class ServerFailed(Exception):
    """A server did not start, or ended on its own."""


class CommandFailed(Exception):
    """A command ended with an error."""


def free_ports(count: int) -> list[int]:
    """Ports on loopback for servers that cannot be told to choose one."""
    return [int(line) for line in subprocess.check_output([ENGINES / "free-ports", str(count)], text=True).split()]


def unprivileged() -> list[str]:
    """The words to put before a command that refuses to run as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []


def clean_environment() -> dict[str, str]:
    """A setting that the caller's shell happens to export must not change a test or a measurement. docker-registry's
    S3 driver panics where AWS_CA_BUNDLE is set."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BLOBD_", "REGISTRY_", "AWS_"))}


def output(command: list[str | Path], given: str | None = None, **options) -> str:
    """Runs a command to its end; returns its output."""
    result = subprocess.run(command, input=given, capture_output=True, text=True, **options)
    if result.returncode:
        words = " ".join(map(str, command))[:300]
        raise CommandFailed(f"{words}: {result.returncode} {result.stdout[-500:]}{result.stderr[-1500:]}")
    return result.stdout


class Process:
    """A running command. Its output is in `log`, so that a failure can be looked at."""

    def __init__(self, command: list[str | Path], log: Path, environment: dict[str, str] | None = None,
                 directory: Path | None = None, dies_by: str = "KILL"):
        """`dies_by`: the signal that it gets when this program is gone, whatever ended it."""
        self.log = log
        with log.open("wb") as file:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", dies_by, *command], stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                cwd=directory, env=clean_environment() if environment is None else environment)
        self.pid = self._child.pid

    @property
    def has_ended(self) -> bool:
        return self._child.poll() is not None

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

    def wait_for(self, condition: Callable, seconds: float = START_LIMIT):
        """Polls until `condition` gives something true, and returns that; ends the process where it does not."""
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            if self.has_ended or time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"{self._child.args[3]} did not start (status {self._child.returncode}): {self.said()}")
            time.sleep(0.002)
        return result

    def announced_port(self) -> int | None:
        """The port in the line `… is ready on http://127.0.0.1:PORT`, once it has been printed."""
        found = READY.search(self.log.read_bytes())
        return int(found[1]) if found else None

    def wait_until_it_listens(self, port: int):
        def accepts() -> bool:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                return True
            return False
        self.wait_for(accepts)

    def seconds_without_processor(self) -> float:
        """That its threads have spent on waiting for a processor which others had; nothing where the kernel does not count."""
        return sum(map(_seconds_without_processor, Path(f"/proc/{self.pid}/task").iterdir()))

    def pause(self):
        """SIGSTOP: everything stays as it is, and its connections stay open, until it goes on or is killed."""
        self._child.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._child.send_signal(signal.SIGCONT)

    def kill(self):
        """kill -9, and waits for the end."""
        self._child.kill()
        self._child.wait()

    def wait(self, seconds: float) -> bool:
        """Whether it ended by itself in this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(seconds)
        return self.has_ended

    def stop(self):
        """SIGTERM, and SIGKILL to one that does not heed it."""
        self._child.terminate()
        if not self.wait(30):
            self.kill()


def seconds_without_processor() -> float:
    """The same of the thread that calls this."""
    return _seconds_without_processor(Path("/proc/thread-self"))


def _seconds_without_processor(thread: Path) -> float:
    with contextlib.suppress(OSError):
        return int((thread / "schedstat").read_text().split()[1]) / 1e9
    return 0.0
