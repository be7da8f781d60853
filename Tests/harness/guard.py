"""Waits for the end of its standard input, then ends everything that runs in a folder and removes the folder.

The engines are daemons: they would outlive a test that is killed. Started as `guard.py FOLDER`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent / "engines"


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    sys.stdin.read()
    # Stopped processes could not end. Of all, PostgreSQL alone leaves something outside its folder when it is killed.
    signal_all(folder, signal.SIGCONT)
    for pid in folder.glob("*/data/postmaster.pid"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([SCRIPTS / "postgres-down", pid.parent.parent, "immediate"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=30)
    for _ in range(50):
        if not signal_all(folder, signal.SIGKILL):
            break
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def signal_all(folder: Path, number: signal.Signals) -> bool:
    """To every process that has this folder, whose name is used once, in its command line or environment, and to their
    children. Returns whether there was any."""
    name = os.fsencode(folder) + b"/"
    processes = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            processes[int(path.name)] = (parent, (path / "cmdline").read_bytes() + (path / "environ").read_bytes())
    ours = {pid for pid, (_, words) in processes.items() if name in words}
    ours |= {pid for pid, (parent, _) in processes.items() if parent in ours}
    for pid in ours - {os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return bool(ours - {os.getpid()})


if __name__ == "__main__":
    main()
