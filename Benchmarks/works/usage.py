"""The kernel's figures for a process and its children, and for the machine."""

import contextlib
import os
import re
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def memory_mib(root: int, field: str = "VmRSS") -> float:
    """Resident memory of a process and its children: `VmRSS` now, `VmHWM` at its peak."""
    return sum(int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
               for pid in _tree(root)) / 1024


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
