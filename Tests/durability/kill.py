"""kill -9: at random moments, at chosen system calls, and in the middle of a start, under sixteen clients."""

import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

from control import STEPS, WRITE_PATH, Action, Control, Environment, Mutation
from harness import workload
from harness.blobd import Server
from harness.checker import PRIVATE, SETTINGS, Checker
from harness.client import Refused
from harness.ledger import Ledger
from harness.process import ServerFailed
from journal import Kind
from recording import Tools

CLIENTS = 16
UPLOADS = 24  # new ones before each kill
FOLDER_ROUNDS = 50  # after so many a new folder, so that the checks do not take longer and longer
LAST_CALL = 160  # each call in turn up to this one: a round has about as many on the write path


@dataclass
class Folder:
    """One data directory through many kills, and the promises to its clients."""

    tools: Tools
    path: Path
    seed: str
    mutations: Mutation = Mutation(0)
    steps: tuple = STEPS
    ledger: Ledger = field(default_factory=Ledger)
    work: list = field(default_factory=list)  # not finished
    slowest: float = 0
    losses: list = field(default_factory=list)
    starts: int = 0

    def __post_init__(self):
        (self.path / "root").mkdir(parents=True)
        self.control = Control(self.path / "control", self.mutations)
        self.data = self.path / "root/data"
        self.log = self.path / "log"

    def start(self) -> Server:
        environment = Environment(self.tools.library, self.path / "root", self.control.path)
        self.starts += 1
        # In both ways to publish, by turns of three rounds: a round starts it twice.
        settings = SETTINGS + PRIVATE * (self.starts // 6 % 2)
        server = Server(self.tools.blobd, self.data, self.log, environment.variables(), settings)
        self.slowest = max(self.slowest, server.start_seconds)
        return server

    def round(self, number: int, chance: random.Random) -> int:
        """Clients at work until the server is killed, then another start and a look at what was promised.

        Returns how many kills came while something was going on.
        """
        kills = 0
        if number % 8 == 7 and self.data.exists():
            kills += self._kill_while_starting(chance)
        server = self.start()
        try:
            self.work += workload.plans(f"round-{number}", UPLOADS, self.seed)
            self._arm(server, number, chance)
            self.ledger.promises = workload.run(server, self.work, lambda *_: None, CLIENTS, self.ledger.promises)
            kills += server.has_ended
        except Refused as refusal:
            self.losses.append(f"LOST  after kill {number}: an upload cannot go on: {refusal}")
        finally:
            self.control.disarm()
            server.kill()
        names = {plan.name for plan in self.work}
        self._check(number, names)
        self.work = [plan for plan in self.work if not self._is_over(plan)][:UPLOADS]
        return kills

    def _arm(self, server: Server, number: int, chance: random.Random):
        action = chance.choice((Action.KILL_BEFORE, Action.KILL_AFTER))
        if number % 2:
            moment = Timer(chance.uniform(0.005, 0.15), server.kill)
            moment.daemon = True
            moment.start()
        elif number % 4:
            self.control.arm(action, kinds=WRITE_PATH, at=1 + number // 4 % LAST_CALL)
        else:
            kind, place = self.steps[number // 4 % len(self.steps)]
            self.control.arm(action, kinds=(kind,), places=(place,), at=chance.randrange(1, 12))

    def _kill_while_starting(self, chance: random.Random) -> bool:
        """Recovery itself is interrupted: where the WAL is copied into the database, and files of finished uploads are removed."""
        self.control.arm(Action.KILL_BEFORE, kinds=set(WRITE_PATH) - {Kind.MKDIR}, at=chance.randrange(1, 25))
        try:
            self.start().kill()
        except ServerFailed:
            return True
        finally:
            self.control.disarm()
        return False

    def _is_over(self, plan: workload.Plan) -> bool:
        promise = self.ledger.promises.get(plan.name)
        if promise is None:
            return False
        return bool(promise.file or promise.destroyed or plan.fate == "leave" and promise.told)

    def _check(self, number: int, names: set | None):
        """Looks at these promises; without names at all of them, and takes open uploads to their end."""
        server = self.start()
        try:
            losses = Checker(server, self.ledger, names).check(resumes=names is None)
            self.losses += [f"LOST  after kill {number}: {sentence}" for sentence in losses]
        finally:
            server.kill()

    def finish(self, number: int):
        """The last look at everything that was ever promised here."""
        self._check(number, names=None)
        self.control.close()
        shutil.rmtree(self.path)


def run(tools: Tools, kills: int, seed: int, mutations: Mutation = Mutation(0),
        steps: tuple = STEPS) -> tuple[bool, str]:
    """The part of the test; one round in four kills at one of the steps. Returns whether nothing was lost, and the line
    that says so."""
    started = time.monotonic()
    chance = random.Random(f"kill {seed}")
    slowest, losses, promises, done, number = 0.0, [], 0, 0, 0
    while done < kills and not losses:
        folder = Folder(tools, tools.scratch / "kill", f"{seed} {number}", mutations, steps)
        for _ in range(FOLDER_ROUNDS):
            done += folder.round(number, chance)
            number += 1
            if folder.losses or done >= kills:
                break
        folder.finish(number)
        slowest = max(slowest, folder.slowest)
        losses += folder.losses
        promises += len(folder.ledger.given())
    lines = losses[:10] + [
        f"kill: {done:,} kills in {number:,} rounds, {promises:,} uploads, {len(losses)} lost or doubled, "
        f"slowest start {slowest:.2f} s, {time.monotonic() - started:.0f} s"]
    return not losses and slowest < 2, "\n".join(lines)
