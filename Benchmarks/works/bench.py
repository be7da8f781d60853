"""The needs of every work: the options, the servers that are there, and the turn-taking."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .load import SOURCES, Load, Sample, compile_c
from .report import Case
from .servers import Blobd, Floor, Nginx, OtherBlobd, Registry, Server, installed_nginx, installed_registry


def say(text: str):
    """Progress, for people who wait."""
    print(text, file=sys.stderr, flush=True)


@dataclass
class Bench:
    """One run of the benchmark."""

    rounds: int
    quick: bool  # Small sizes: tries the benchmark, measures nothing worth keeping.
    scratch: Path
    blobd: Path
    plans: Path | None = None  # Where to write the database's query plans.
    against: Path | None = None  # Another version of blobd, in the place of the peers.
    shares_of_others: list[float] = field(default_factory=list)

    def __post_init__(self):
        self.load = Load(self.scratch, os.cpu_count())
        floor = self.scratch / "floor"
        compile_c([SOURCES / "floor.c"], floor)
        nginx, registry = installed_nginx(), installed_registry()
        self.blob = self.blobd.with_name("blob")
        self.rclone = shutil.which("rclone")
        self._executables = {
            Blobd: self.blobd if os.access(self.blobd, os.X_OK) else None,
            Nginx: nginx, Registry: registry, Floor: floor,
        }
        for kind, executable in self._executables.items():
            if executable is None:
                say(f"{kind.name} is not there and goes unmeasured (make build, Benchmarks/install-peers)")

    def servers(self, *kinds: type[Server]) -> list[Server]:
        """New, stopped servers of the kinds that are there, in the order given."""
        if self.against:
            return [server for kind in kinds if kind is Blobd for server in (Blobd(self.blobd), OtherBlobd(self.against))]
        return [kind(executable) for kind in kinds if (executable := self._executable(kind)) is not None]

    def _executable(self, kind: type[Server]):
        """A kind that is made of another runs the same program."""
        return next(self._executables[base] for base in kind.__mro__ if base in self._executables)

    def size(self, full: int, quick: int) -> int:
        """One of two sizes, by whether this run is only a try."""
        return quick if self.quick else full

    @contextlib.contextmanager
    def all_running(self, servers: Iterable[Server]):
        """All servers at once, each on an empty folder: idle ones cost nothing."""
        with contextlib.ExitStack() as stack:
            for server in servers:
                stack.enter_context(server.running(self.scratch))
            yield

    def alternate(self, case: Case, servers: list[Server], measure: Callable[[Server, int], Sample]):
        """Measures the servers by turns, so that a change of the machine's load meets them all."""
        for number in range(self.rounds):
            # Each round begins with another server: none is always the one that follows a heavy neighbour.
            turn = number % max(1, len(servers))
            for server in servers[turn:] + servers[:turn]:
                sample = measure(server, number)
                self.shares_of_others.append(sample.others)
                case.add(server.name, sample)
                say(f"  {case.name}, round {number + 1}, {server.name}: {sample.cpu:.2f} CPU s, {sample.jobs} jobs "
                    f"in {sample.seconds:.2f} s")
        case.order([server.name for server in servers])
