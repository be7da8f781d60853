"""Works 7 and 8: the client beside the tools that people would use in its place, against the same server."""

import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from harness.process import free_ports

from .bench import Bench, say
from .load import LoadFailed, Sample
from .report import GIB, Case, Goal, Row, size_text
from .servers import Blobd, Server
from .usage import cpu_seconds, machine_busy_seconds

BLOB, CURL, RCLONE = "blob", "curl and sha256sum", "rclone to its own WebDAV server"
JOBS = 16

# A script that knows the digest before it uploads, as in the README's quick start. `-T` streams the file;
# `--data-binary @file` would read it into memory, and refuses 1 GiB.
CURL_UPLOAD = """
digest=$(sha256sum "$1") && digest=${digest%% *} && bearer="Authorization: Bearer $BLOB_TOKEN"
upload=$(curl -fsS -X POST -H "$bearer" "$BLOB_SERVER/api/blobs/uploads?filename=${1##*/}" \
    -w '%header{portsip-upload-id} %header{portsip-upload-token}') &&
curl -fsS -X POST -H "$bearer" -H "PortSIP-Upload-Token: ${upload#* }" -H 'Content-Type: application/octet-stream' \
    -o /dev/null -T "$1" "$BLOB_SERVER/api/blobs/uploads/${upload% *}/complete?digest=$digest"
"""


class WebDAV(Server):
    """rclone's own server. It neither hashes nor syncs the bytes that it receives."""

    name = RCLONE
    protocol = "webdav"

    def launch(self):
        self.port = free_ports(1)[0]
        (self.directory / "data").mkdir()
        self._run_on_port("serve", "webdav", str(self.directory / "data"), "--addr", f"127.0.0.1:{self.port}")


def large(bench: Bench) -> list[Row]:
    """One big file: the client's cost, and the time."""
    size = bench.size(GIB, GIB // 16)
    file = _file(bench.scratch / "large", size)
    commands = {BLOB: lambda server: _blob(bench, "upload", str(file)),
                CURL: lambda server: ["bash", "-euc", CURL_UPLOAD, "curl", str(file)]}
    cost = Case(f"client: upload {size_text(size)}", BLOB, per_gib=True, goals=[Goal(CURL, 1)])
    rate = Case("… by the clock", BLOB, per_gib=True, goals=[Goal(CURL, 1, by_rate=True)])
    _compare(bench, [cost, rate], commands, jobs=1, size=size)
    file.unlink()
    return cost.rows() + rate.rows()


def small(bench: Bench) -> list[Row]:
    """Many small files."""
    count = bench.size(10_000, 200)
    folder = bench.scratch / "small"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}").write_bytes(os.urandom(4 << 10))
    loop = f'upload() {{ {CURL_UPLOAD} }}; for file in "$1"/*; do upload "$file"; done'
    commands = {
        BLOB: lambda server: _blob(bench, "upload", "--recursive", "--jobs", str(JOBS), str(folder)),
        CURL: lambda server: ["bash", "-euc", loop, "curl", str(folder)],
    }
    if bench.rclone:
        commands[RCLONE] = lambda server: [
            str(bench.rclone), "copy", "--config", "/dev/null", "--transfers", str(JOBS), "--webdav-url",
            f"http://127.0.0.1:{server.port}", str(folder), ":webdav:"]
    case = Case(f"client: upload {count:,} × 4 KiB, {JOBS} at once", BLOB, per_gib=False, job="file",
                goals=[Goal(CURL, 1, by_rate=True), Goal(RCLONE, 1, by_rate=True)])
    _compare(bench, [case], commands, jobs=count, size=count * (4 << 10))
    return case.rows()


def _compare(bench: Bench, cases: list[Case], commands: dict[str, Callable[[Server], list[str]]], jobs: int, size: int):
    """Runs the commands by turns, each against a new server."""
    for number in range(bench.rounds):
        names = list(commands)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            server = WebDAV(bench.rclone) if name == RCLONE else bench.servers(Blobd)[0]
            with server.running(bench.scratch):
                os.sync()
                sample = _timed(server, commands[name](server), jobs, size)
            bench.shares_of_others.append(sample.others)
            for case in cases:
                case.add(name, sample)
            say(f"  {cases[0].name}, round {number + 1}, {name}: {sample.cpu:.2f} CPU s in {sample.seconds:.2f} s")
    for case in cases:
        case.order(list(commands))


def _timed(server: Server, command: list[str], jobs: int, size: int) -> Sample:
    token = server.headers[0].removeprefix("Authorization: Bearer ") if server.headers else ""
    environment = {**os.environ, "BLOB_SERVER": f"http://127.0.0.1:{server.port}", "BLOB_TOKEN": token,
                   "XDG_STATE_HOME": str(server.directory), "XDG_CONFIG_HOME": str(server.directory)}
    before, busy = resource.getrusage(resource.RUSAGE_CHILDREN), machine_busy_seconds()
    served, started = cpu_seconds(server.process.pid), time.monotonic()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seconds = time.monotonic() - started
    if done.returncode != 0:
        raise LoadFailed(f"{command[0]} ended with {done.returncode}: {done.stderr[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    served = cpu_seconds(server.process.pid) - served
    others = max(0.0, machine_busy_seconds() - busy - cpu - served) / (seconds * (os.cpu_count() or 1))
    return Sample(cpu=cpu, jobs=jobs, bytes=size, seconds=seconds, p99=0, others=others)


def _blob(bench: Bench, *words: str) -> list[str]:
    return [str(bench.blob), words[0], "--quiet", *words[1:]]


def _file(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        for _ in range(size // (1 << 20)):
            file.write(os.urandom(1 << 20))
    return path
