"""Backups and restores that are killed at any call, or end with the power: the directories are as the documents say, and
the same command, given again, comes to its end."""

import json
import random
import shutil
import sqlite3
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import journal
import workers
from control import WRITE_PATH, Action, Control, Environment, Mutation
from filesystem import FileSystem
from harness import workload
from harness.blobd import Server
from harness.connection import Connection
from harness.process import clean_environment
from journal import Kind, Marks
from rebuild import clear, fingerprint, rebuild
from recording import Tools, is_crash_point
from states import STRATEGIES, State, survivors

UPLOADS = 12  # before each backup
LIMIT = 60.0  # seconds after which a command hangs
# Where a restore finds no backup yet.
NO_BACKUP = ("is a backup that was never finished", "is no backup of blobd")


@dataclass(frozen=True)
class Expected:
    """The contents of the directories, as sets of the digests of their files."""

    data: frozenset[str]
    backups: tuple[frozenset[str], ...]  # a restore may bring that of the run before, or of the one that goes on
    has_backup: bool  # a run has come to its end
    restore: frozenset[str] | None = None  # the files of the restore that has begun

    def text(self) -> str:
        return json.dumps({"data": sorted(self.data), "backups": [sorted(each) for each in self.backups],
                           "has_backup": self.has_backup, "restore": self.restore and sorted(self.restore)})

    @staticmethod
    def parse(text: str) -> "Expected":
        found = json.loads(text)
        return Expected(frozenset(found["data"]), tuple(map(frozenset, found["backups"])), found["has_backup"],
                        found["restore"] and frozenset(found["restore"]))


@dataclass
class Place:
    """A folder with a store in `data`, its backup in `backup`, and the restored store in `restored`."""

    tools: Tools
    root: Path
    shim: Environment | None = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        environment = clean_environment() | (self.shim.variables() if self.shim else {})
        return subprocess.run(["setpriv", "--pdeathsig", "KILL", str(self.tools.blobd), *arguments], cwd=self.root,
                              env=environment, capture_output=True, text=True, timeout=LIMIT)

    def backup(self) -> subprocess.CompletedProcess:
        return self.run("backup", "backup", "--data", "data")

    def restore(self, target: str = "restored") -> subprocess.CompletedProcess:
        return self.run("restore", "backup", "--data", target)

    def digests(self, name: str) -> frozenset[str]:
        """The files of a directory that no process has open."""
        connection = sqlite3.connect(self.root / name / "catalog.sqlite")
        try:
            return frozenset(each for each, in connection.execute("SELECT DISTINCT lower(hex(digest)) FROM files"))
        finally:
            connection.close()

    def work(self, label: str, seed: str):
        """Clients upload, delete and leave things, and a file of the life before goes."""
        server = Server(self.tools.blobd, self.root / "data", self.root.with_suffix(".log"), self.shim and self.shim.variables())
        try:
            connection = Connection(server)
            items = connection.ask("GET", "/api/files?top=1").json()["items"]
            for item in items:
                connection.ask("POST", f"/api/files/{item['id']}/destroy")
            connection.close()
            workload.run(server, workload.plans(label, UPLOADS, seed), lambda *_: None, 4)
        finally:
            server.stop()


# MARK: The promises


class Inspection:
    """One look at the directories after a crash. `losses` are sentences."""

    def __init__(self, place: Place, expected: Expected):
        self._place = replace(place, shim=None)
        self._expected = expected
        self.losses: list[str] = []

    def _lose(self, sentence: str, outcome: subprocess.CompletedProcess | None = None):
        said = f": {outcome.returncode} {outcome.stderr.strip()[:300]}" if outcome else ""
        self.losses.append(sentence + said)

    def check(self) -> list[str]:
        self._check_store("data", self._expected.data, "the source")
        self._check_backup()
        if self._expected.restore is not None:
            self._check_restored(self._expected.restore)
        self._back_up_again()
        return self.losses

    def _check_store(self, name: str, files: frozenset[str], what: str):
        outcome = self._place.run("check", "--data", name)
        if outcome.returncode != 0:
            self._lose(f"{what} is damaged", outcome)
        elif self._place.digests(name) != files:
            self._lose(f"{what} has other files")

    def _check_backup(self):
        """The backup before the crash, or the one that was being made; every blob is compared on the way."""
        outcome = self._place.restore("trial")
        if outcome.returncode == 0:
            if self._place.digests("trial") not in self._expected.backups:
                self._lose("the backup is neither the one before nor the one that was being made")
        elif self._expected.has_backup or not any(text in outcome.stderr for text in NO_BACKUP):
            self._lose("the backup cannot be restored", outcome)

    def _check_restored(self, files: frozenset[str]):
        """Half a store is refused. Without its label it is whole, or nothing is there yet."""
        restored = self._place.root / "restored"
        if (restored / "blobd-label").exists():
            outcome = self._place.run("serve", "--data", "restored", "--listen", "127.0.0.1:0")
            if outcome.returncode != 1 or "interrupted" not in outcome.stderr:
                self._lose("half a restored store is served", outcome)
        elif (restored / "catalog.sqlite").exists():
            return self._check_store("restored", files, "the restored store")
        outcome = self._place.restore()
        if outcome.returncode != 0:
            return self._lose("the restore cannot go on", outcome)
        self._check_store("restored", files, "the restored store")

    def _back_up_again(self):
        outcome = self._place.backup()
        if outcome.returncode != 0:
            return self._lose("there can be no further backup", outcome)
        self._check_store("backup", self._expected.data, "the next backup")
        left = [str(path) for path in (self._place.root / "backup").rglob("*.new*")]
        if left:
            self._lose(f"left in the backup: {left[:3]}")


# MARK: Power loss


def record(tools: Tools, seed: str, mutations: Mutation = Mutation(0)) -> Path:
    """A first backup, another one of a store that has changed, and its restore. Returns the trace. The server is never
    careless, whatever the backups are."""
    folder = tools.scratch / "recording-backups"
    (folder / "root").mkdir(parents=True)
    trace = tools.scratch / "backups.trace"
    trace.unlink(missing_ok=True)
    marks, control = Marks(trace), Control(folder / "control", mutations)
    server = Place(tools, folder / "root", Environment(tools.library, folder / "root", trace=trace))
    place = replace(server, shim=replace(server.shim, control=control.path))

    def expect(expected: Expected):
        marks.add(name="", event="pause", value=expected.text())

    try:
        before, earlier = None, ()
        for turn in ("first", "second"):
            server.work(turn, f"{seed} {turn}")
            files = place.digests("data")
            expect(Expected(files, (*earlier, files), before is not None))
            _succeed(place.backup())
            before, earlier = files, (files,)
            expect(Expected(files, (files,), True))
        expect(Expected(files, (files,), True, files))
        _succeed(place.restore())
    finally:
        control.close()
        marks.close()
        shutil.rmtree(folder)
    return trace


def _succeed(outcome: subprocess.CompletedProcess):
    if outcome.returncode != 0:
        raise RuntimeError(f"{outcome.args}: {outcome.returncode} {outcome.stderr}")


def _is_work(entries: list) -> list[bool]:
    """Of each entry, whether it belongs to a backup or a restore: the servers' entries are for another part."""
    return [entry.path.startswith(("/backup", "/restored")) for entry in entries]


def explore(tools: Tools, trace: Path, states: list[State], losses: int = 10) -> tuple[set[bytes], list[str]]:
    """Looks at some states of a trace; returns the distinct ones, and the losses."""
    entries, system = journal.read(trace), FileSystem()
    expected, seen, lost, number = None, set(), [], 0
    for state in sorted(states):
        for number in range(number, state.point):
            if entries[number].kind is Kind.MARK:
                mark = json.loads(entries[number].data)
                expected = Expected.parse(mark["value"])
            else:
                system.replay(number, entries[number])
        number = state.point
        pending = system.pending()
        if not pending and state.strategy != "none":
            continue
        kept = survivors(state, pending)
        print_ = fingerprint(system, kept)
        if print_ in seen:
            continue
        seen.add(print_)
        folder = tools.scratch / f"backup-{states[0].seed}-{state.point}"
        try:
            rebuild(system, kept, folder)
            lost += [f"LOST  backup, state {state.text()}: {each}"
                     for each in Inspection(Place(tools, folder), expected).check()]
        finally:
            clear(folder)
        if len(lost) >= losses:
            break
    return seen, lost


def _explore(arguments: tuple) -> tuple[set[bytes], list[str]]:
    return explore(*arguments)


def chosen(trace: Path, count: int, seed: int) -> list[State]:
    """Moments within the backups and the restore, with each strategy in turn."""
    entries = journal.read(trace)
    work = _is_work(entries)
    points = [point for point in range(len(entries)) if work[point] and is_crash_point(entries, point)]
    chance = random.Random(f"backups {seed}")
    return [State(chance.choice(points), STRATEGIES[number % len(STRATEGIES)], seed + number) for number in range(count)]


# MARK: Kills


@dataclass(frozen=True)
class Kills:
    """The same work, killed at each of its calls in turn."""

    name: str
    has_backup: bool
    is_restore: bool


KILLS = (Kills("first", False, False), Kills("second", True, False), Kills("restore", True, True))


def kill(tools: Tools, kills: Kills, count: int, seed: int) -> tuple[int, list[str]]:
    """Returns how many kills fell into the work, and the losses."""
    folder = tools.scratch / f"backup-kills-{kills.name}"
    (folder / "model").mkdir(parents=True)
    model = Place(tools, folder / "model")
    model.work("first", f"{seed} first")
    before = model.digests("data")
    if kills.has_backup:
        _succeed(model.backup())
        if not kills.is_restore:
            model.work("second", f"{seed} second")
    files = model.digests("data")
    expected = Expected(files, (before, files) if kills.has_backup else (files,), kills.has_backup,
                        files if kills.is_restore else None)
    chance, hits, losses = random.Random(f"{kills.name} {seed}"), 0, []
    calls = _calls(folder, model, kills)
    for number in range(count):
        at = chance.randrange(1, calls + 1)
        hit, lost = _kill(folder, model, kills, chance.choice((Action.KILL_BEFORE, Action.KILL_AFTER)), at, expected)
        hits += hit
        losses += [f"LOST  backup, {kills.name} killed at call {at} of {calls}: {each}" for each in lost]
    shutil.rmtree(folder)
    return hits, losses


def _calls(folder: Path, model: Place, kills: Kills) -> int:
    """How many calls there are that a kill may fall on: one more than the last of them is met by nobody."""
    low, high = 1, 1 << 14
    while low < high:
        middle = (low + high) // 2
        if _kill(folder, model, kills, Action.KILL_BEFORE, middle, None)[0]:
            low = middle + 1
        else:
            high = middle
    return low - 1


def _kill(folder: Path, model: Place, kills: Kills, action: Action, at: int,
          expected: Expected | None) -> tuple[bool, list[str]]:
    root = folder / "root"
    shutil.copytree(model.root, root)
    control = Control(folder / "control")
    try:
        place = Place(model.tools, root, Environment(model.tools.library, root, control.path))
        # Of the directories that every first run makes, one is like the other.
        control.arm(action, kinds=set(WRITE_PATH) - {Kind.MKDIR}, at=at)
        (place.restore if kills.is_restore else place.backup)()
        hit = control.hits > 0
        return hit, Inspection(place, expected).check() if expected else []
    finally:
        control.close()
        shutil.rmtree(root)


def _killed(arguments: tuple) -> tuple[int, list[str]]:
    return kill(*arguments)


# MARK: The part of the test


def run(tools: Tools, states: int, kills: int, seed: int, kept: Path) -> tuple[bool, str]:
    """Returns whether nothing was lost, and the lines that say so. The trace of a loss is kept in a folder."""
    started = time.monotonic()
    trace = record(tools, str(seed))
    share = -(-states // 8)
    tasks = [(tools, trace, chosen(trace, share, seed + number * 1_000_003)) for number in range(8)]
    prints, losses, hits = set(), [], 0
    with workers.pool() as pool:
        killing = pool.map_async(_killed, [(tools, each, -(-kills // len(KILLS)), seed) for each in KILLS], 1)
        for seen, lost in pool.imap_unordered(_explore, tasks):
            prints |= seen
            losses += lost
        if losses:
            kept.mkdir(parents=True, exist_ok=True)
            losses.insert(0, f"trace: {shutil.copy(trace, kept / f'backups-seed-{seed}.trace')}")
        for each, lost in killing.get():
            hits += each
            losses += lost
    is_good = not losses and len(prints) > states // 4 and hits >= kills // 2
    return is_good, "\n".join(losses[:10] + [
        f"backup: {len(prints):,} distinct states and {hits:,} kills of backups and restores, {len(losses)} lost, "
        f"{time.monotonic() - started:.0f} s"])
