"""A sync fails once and then succeeds, and the bytes or names that it was about are gone: the upload must fail for good, and
every success after it, with the same bytes too, must outlast a power loss."""

import errno
import re
import shutil
import time
from dataclasses import dataclass, replace

import journal
from control import Action, Control, Environment
from harness import workload
from harness.blobd import Server
from harness.checker import SETTINGS
from harness.client import Refused, Uploader
from harness.connection import Connection
from harness.ledger import Promise
from journal import Kind, Marks, Place
from power_loss import Explorer
from recording import Tools
from states import State

SIZE = 20_000
TIMES = 20  # for each of the moments
CROWD, CROWDS = 8, 100


@dataclass(frozen=True)
class Moment:
    """Which sync fails, of which request."""

    step: str  # "first append", "second append", "complete" after an append, "whole" upload in one complete
    kind: Kind
    place: Place


MOMENTS = (
    Moment("first append", Kind.DATA_SYNC, Place.UPLOAD), Moment("first append", Kind.SYNC, Place.UPLOAD),
    Moment("first append", Kind.SYNC, Place.UPLOADS), Moment("second append", Kind.DATA_SYNC, Place.UPLOAD),
    Moment("complete", Kind.DATA_SYNC, Place.UPLOAD), Moment("complete", Kind.SYNC, Place.BLOB_DIRECTORY),
    Moment("whole", Kind.DATA_SYNC, Place.UPLOAD), Moment("whole", Kind.SYNC, Place.UPLOAD),
    Moment("whole", Kind.SYNC, Place.BLOB_DIRECTORY),
)


class Trial:
    """One server on one folder, and the uploads that failed under it."""

    def __init__(self, tools: Tools, action: Action):
        self._tools = tools
        self._action = action
        self._folder = tools.scratch / "failed-sync"
        (self._folder / "root").mkdir(parents=True)
        self._control = Control(self._folder / "control")
        self._trace = self._folder / "trace"
        self._marks = Marks(self._trace)
        self._failed: list[Uploader] = []
        self._good: list[Promise] = []
        self._crowds = 0
        self.losses: list[str] = []

    def carry_out(self) -> int:
        """Returns how many syncs failed."""
        try:
            server = self._start()
            try:
                for number in range(TIMES):
                    for moment in MOMENTS:
                        self._fail(server, moment, f"{moment.step}-{moment.kind.name}-{moment.place.name}-{number}")
                for number in range(CROWDS):
                    self._fail_in_crowd(server, number)
                self._look_again(server, "")
            finally:
                server.kill()
            server = self._start()
            try:
                self._look_again(server, " after another start")
            finally:
                server.kill()
            self._check_power_loss()
        finally:
            self._control.close()
            self._marks.close()
            shutil.rmtree(self._folder)
        return len(self._failed) + self._crowds

    def _start(self) -> Server:
        environment = Environment(self._tools.library, self._folder / "root", self._control.path, self._trace)
        return Server(self._tools.blobd, self._folder / "root/data", self._folder / "log", environment.variables(), SETTINGS)

    def _note(self, name: str, event: str, value):
        self._marks.add(name=name, event=event, value=value)

    def _fail(self, server: Server, moment: Moment, name: str):
        """An upload that meets the failure, and at once another one that must not."""
        connection = Connection(server)
        uploader = Uploader(connection, Promise(name.replace(" ", "-"), name, SIZE), self._note)
        uploader.start()
        half = SIZE // 2
        if moment.step in ("second append", "complete"):
            uploader.append(0, half)
        self._control.arm(self._action, kinds=(moment.kind,), places=(moment.place,), error=errno.EIO)
        try:
            match moment.step:
                case "first append":
                    uploader.append(0, half)
                case "second append":
                    uploader.append(half, SIZE)
                case "complete":
                    uploader.complete(half)
                case "whole":
                    uploader.complete(0)
            self.losses.append(f"LOST  {name}: the sync failed, and the client was told of a success")
        except Refused as refusal:
            uploader.give_up(refusal.status)
            if refusal.status != 410:
                self.losses.append(f"LOST  {name}: {refusal}, where 410 is due")
        if self._control.hits != 1:
            self.losses.append(f"LOST  {name}: {self._control.hits} syncs failed, where one was to")
        self._control.disarm()
        self._failed.append(uploader)
        # Every other one has the same bytes: a file that the failure left under their digest is not to be relied on.
        key = name if name.endswith(("1", "3", "5", "7", "9")) else f"{name} good"
        good = Uploader(connection, Promise(f"{uploader.promise.name}-good", key, SIZE), self._note)
        good.start()
        good.complete(0)
        self._good.append(good.promise)
        connection.close()

    def _fail_in_crowd(self, server: Server, number: int):
        """Many uploads get their names at once while one sync of the directory fails: it may have been about all of them,
        and an upload whose own sync succeeds afterwards must not be told that its name is safe."""
        work = workload.plans(f"crowd-{number}", CROWD, f"crowd {number}")
        work = [replace(plan, size=4096, cuts=(), ends_in_complete=False, fate="leave") for plan in work]
        # The first: waiting uploads share the next one, so there may be no third.
        self._control.arm(self._action, kinds=(Kind.SYNC,), places=(Place.UPLOADS,), at=1, error=errno.EIO)
        promises = workload.run(server, work, self._note, CROWD, failures_expected=True)
        self._control.disarm()
        told = sum(promise.failed for promise in promises.values())
        if self._control.hits != 1 or told < 1:
            self.losses.append(f"LOST  crowd-{number}: a sync failed, and {told} of {CROWD} uploads were told of it")
        self._crowds += 1

    def _look_again(self, server: Server, when: str):
        connection = Connection(server)
        held = {promise.digest for promise in self._good}
        for uploader in self._failed:
            again = Uploader(connection, uploader.promise, lambda *_: None)
            for ask in (again.status, lambda: again.append(0, SIZE), lambda: again.complete(0), again.complete):
                try:
                    ask()
                    self.losses.append(f"LOST  {again.promise.name}: it failed, and goes on{when}")
                except Refused as refusal:
                    if refusal.status != 410:
                        self.losses.append(f"LOST  {again.promise.name}: {refusal}, where 410 is due{when}")
            if again.promise.digest in held:
                continue
            if connection.ask("GET", f"/api/blobs/{again.promise.digest}").status != 404:
                self.losses.append(f"LOST  {again.promise.name}: its bytes are served{when}")
        for promise in self._good:
            if connection.ask("GET", f"/api/blobs/{promise.digest}").body != promise.content:
                self.losses.append(f"LOST  {promise.name}: the bytes of another upload are gone{when}")
        connection.close()

    def _check_power_loss(self):
        """The power goes now: a sync that failed has made nothing durable, and neither has any after it."""
        explorer = Explorer(self._tools, self._trace)
        end = len(journal.read(self._trace))
        explorer.walk({end: [State(end, "none", 0)]})
        self.losses += [f"LOST  {sentence} (after a power loss)"
                        for loss in explorer.findings.losses for sentence in loss.sentences]


def run(tools: Tools, action: Action = Action.LOSE) -> tuple[bool, str]:
    """The part of the test. Returns whether every upload failed for good, and the line that says so."""
    started = time.monotonic()
    trial = Trial(tools, action)
    failed = trial.carry_out()
    # Once for each moment: a fault that comes once comes every time.
    different = {re.sub(r"\d+", "", loss): loss for loss in trial.losses}
    lines = list(different.values())[:10] + [
        f"failed-sync: {failed} failed syncs at {len(MOMENTS)} moments and in crowds, {len(trial.losses)} wrong answers, "
        f"{time.monotonic() - started:.0f} s"]
    return not trial.losses, "\n".join(lines)
