"""I/O errors: every system call of the write path fails once, a few times, and from then on. No client may be told of a
success that is none, and when the disk works again the server must, without a restart."""

import errno
import itertools
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import journal
import workers
from control import ALWAYS, WRITE_PATH, Action, Control, Environment
from harness import workload
from harness.blobd import Server
from harness.checker import PRIVATE, SETTINGS, Checker
from harness.client import Refused, Uploader
from harness.connection import Connection, Unanswered
from harness.ledger import Ledger, Promise
from harness.process import ServerFailed
from journal import Kind, Marks, Place
from power_loss import Explorer
from recording import Tools
from states import State

CLIENTS = 4
UPLOADS = 6  # in each run
BATCH = 10  # runs on one folder
LATEST_CALL = 8  # that fails; few runs make more of one kind
RECOVERY_LIMIT = 5.0  # seconds in which the server must serve again after the disk does

CALLS = (
    (Kind.OPEN, Place.UPLOAD), (Kind.OPEN, Place.UPLOADS), (Kind.OPEN, Place.BLOB_DIRECTORY), (Kind.WRITE, Place.UPLOAD),
    (Kind.TRUNCATE, Place.UPLOAD), (Kind.DATA_SYNC, Place.UPLOAD), (Kind.SYNC, Place.UPLOAD), (Kind.LINK, Place.UPLOAD),
    (Kind.SYNC, Place.UPLOADS), (Kind.LINK, Place.BLOB), (Kind.SYNC, Place.BLOB_DIRECTORY), (Kind.UNLINK, Place.UPLOAD),
    (Kind.UNLINK, Place.BLOB), (Kind.CLOSE, Place.UPLOAD), (Kind.WRITE, Place.WAL), (Kind.DATA_SYNC, Place.WAL),
    (Kind.TRUNCATE, Place.WAL), (Kind.WRITE, Place.DATABASE), (Kind.DATA_SYNC, Place.DATABASE),
    (Kind.RENAME, Place.UPLOAD), (Kind.RENAME, Place.BLOB),
)
# Calls that are made only after a commit has failed, whose client then goes on.
AFTER_RECONNECTING = {(Kind.TRUNCATE, Place.WAL), (Kind.WRITE, Place.DATABASE), (Kind.DATA_SYNC, Place.DATABASE)}
RECLAIMING = (Kind.UNLINK, Place.BLOB)
HIDING = (Kind.RENAME, Place.BLOB)  # made of every upload where downloads are private
AFTER_LOST_APPEND, AFTER_LOST_COMPLETE = (Kind.TRUNCATE, Place.UPLOAD), (Kind.RENAME, Place.UPLOAD)
WRITES = ((Kind.WRITE, Place.UPLOAD), (Kind.WRITE, Place.WAL))


@dataclass(frozen=True)
class Fault:
    """The fault of one run."""

    kinds: tuple[Kind, ...]
    places: tuple[Place, ...]
    action: Action
    error: int
    at: int
    times: int

    @property
    def call(self) -> tuple[Kind, Place]:
        """The first of those that fail."""
        return self.kinds[0], self.places[0]

    def text(self) -> str:
        what = errno.errorcode.get(self.error, self.action.name)
        where = "every call" if len(self.kinds) > 1 else f"{self.kinds[0].name} {self.places[0].name}"
        return f"{where} {what} from {self.at}, {'always' if self.times == ALWAYS else f'{self.times} times'}"


def faults() -> Iterator[Fault]:
    """All of them with later and later calls, then from the first on again."""
    for at in itertools.cycle(range(1, LATEST_CALL + 1)):
        for kind, place in CALLS:
            for error in (errno.EIO, errno.ENOSPC) + ((errno.EMFILE,) if kind is Kind.OPEN else ()):
                for times in (1, ALWAYS):
                    yield Fault((kind,), (place,), Action.FAIL, error, at, times)
            # Interruptions come once or a few times: one that never ends is none.
            yield Fault((kind,), (place,), Action.FAIL, errno.EINTR, at, 1 if at % 2 else 4)
        for kind, place in WRITES:
            for times in (1, ALWAYS):
                yield Fault((kind,), (place,), Action.SHORT, 0, at, times)
        for error in (errno.EIO, errno.ENOSPC):
            yield Fault(WRITE_PATH, tuple(Place), Action.FAIL, error, at * 7, ALWAYS)
            yield Fault(WRITE_PATH, tuple(Place), Action.FAIL, error, at * 7, 1)


@dataclass
class Findings:
    runs: int = 0  # in which the fault was met
    met: Counter = field(default_factory=Counter)  # by the call
    unmet: int = 0
    refused: int = 0  # uploads that were told of the failure
    slowest: float = 0  # seconds until the server served again
    losses: list[str] = field(default_factory=list)

    def add(self, other: "Findings"):
        self.runs += other.runs
        self.met += other.met
        self.unmet += other.unmet
        self.refused += other.refused
        self.slowest = max(self.slowest, other.slowest)
        self.losses += other.losses


class Batch:
    """Runs on one folder and one server. Its trace tells afterwards which bytes were durable when the clients were told."""

    def __init__(self, tools: Tools, name: str):
        self._tools = tools
        self._name = name
        self._folder = tools.scratch / f"io-{name}"
        (self._folder / "root").mkdir(parents=True)
        self._trace = self._folder / "trace"
        self._marks = Marks(self._trace)
        self._control = Control(self._folder / "control")
        self._ledger = Ledger()
        self.findings = Findings()

    def carry_out(self, chosen: list[Fault]) -> Findings:
        environment = Environment(self._tools.library, self._folder / "root", self._control.path, self._trace)
        settings = SETTINGS + (PRIVATE if any(fault.call == HIDING for fault in chosen) else ())
        server = Server(self._tools.blobd, self._folder / "root/data", self._folder / "log", environment.variables(), settings)
        try:
            for number, fault in enumerate(chosen):
                self._run(server, number, fault)
                if self.findings.losses:
                    break
            server.kill()
            self._check_power_loss(chosen)
        finally:
            server.kill()
            self._control.close()
            self._marks.close()
            shutil.rmtree(self._folder)
        return self.findings

    def _lose(self, fault: Fault, sentence: str):
        self.findings.losses.append(f"LOST  {self._name}, {fault.text()}: {sentence}")

    def _note(self, name: str, event: str, value):
        self._marks.add(name=name, event=event, value=value)

    def _run(self, server: Server, number: int, fault: Fault):
        work = workload.plans(f"{self._name}-{number}", UPLOADS, f"{self._name} {number}")
        # One is always left in the middle: only such a one needs its name under uploads/ afterwards.
        work[2] = replace(work[2], size=4096, cuts=(2000,), ends_in_complete=False, fate="leave")
        if fault.call == RECLAIMING:
            work[-1] = replace(work[-1], fate="delete")  # its bytes are nobody else's
        try:
            self._prepare(server, work, fault)
            self._control.arm(fault.action, kinds=fault.kinds, places=fault.places, at=fault.at, times=fault.times,
                              error=fault.error)
            self._ledger.promises = workload.run(server, work, self._note, CLIENTS, self._ledger.promises,
                                                 failures_expected=True)
            if fault.call == RECLAIMING:
                workload.wait_for_reclaimer()
        except Refused as refusal:
            self._lose(fault, f"an answer that no failing disk explains: {refusal}")
        finally:
            self._control.disarm()
        is_met = self._control.hits > 0
        self.findings.runs += is_met
        self.findings.unmet += not is_met
        self.findings.met[fault.call] += is_met
        # Before anything else is synced, which would make the bytes of a missing sync durable along with its own.
        self._note("", "pause", number)
        if not self._serves_again(server, fault, number):
            return
        names = {plan.name for plan in work}
        # A name that could not be removed stays until the next start, which _check_power_loss() looks at.
        checker = Checker(server, self._ledger, names)
        for sentence in checker.check(looks_into_folder=Kind.UNLINK not in fault.kinds):
            self._lose(fault, sentence)
        for name in names:
            promise = self._ledger.promises[name]
            self.findings.refused += promise.refused or promise.failed
            if not (promise.file or promise.destroyed or promise.failed):
                # The check has taken the upload further, and alone knows its promises from now on.
                promise.note("settling", None)
                self._note(name, "settling", None)

    def _prepare(self, server: Server, work: list[workload.Plan], fault: Fault):
        """Two uploads have begun before the disk fails. Calls that are made only after an error get one first."""
        connection = Connection(server)
        try:
            for plan in work[:2]:
                promise = self._ledger.promises[plan.name] = Promise(plan.name, plan.key, plan.size)
                uploader = Uploader(connection, promise, self._note)
                uploader.start(plan.is_temporary)
                uploader.append(0, plan.size // 2)
            if fault.call in AFTER_RECONNECTING:
                self._fail_commit(1)
                connection.ask("POST", "/api/blobs/uploads")
            elif fault.call in (AFTER_LOST_APPEND, AFTER_LOST_COMPLETE):
                self._lose_commit(connection, work, fault)
        finally:
            connection.close()

    def _fail_commit(self, number: int):
        self._control.arm(Action.FAIL, kinds=(Kind.DATA_SYNC,), places=(Place.WAL,), at=number, error=errno.EIO)

    def _lose_commit(self, connection: Connection, work: list[workload.Plan], fault: Fault):
        """An upload whose file is ahead of its row: bytes past the offset, or a blob's name already."""
        size, middle = 5000, 2000
        plan = workload.Plan(f"{work[0].name}-ahead", f"{work[0].key} ahead", size, (), True, True, False, "complete")
        promise = self._ledger.promises[plan.name] = Promise(plan.name, plan.key, size)
        uploader = Uploader(connection, promise, self._note)
        uploader.start()
        uploader.append(0, middle)
        self._fail_commit(2)  # the first is the claim
        try:
            if fault.call == AFTER_LOST_APPEND:
                uploader.append(middle, middle + 1000)
            else:
                answer = connection.ask("POST", f"/api/blobs/uploads/{promise.id}/complete",
                                        PortSIP_Upload_Token=promise.token)
                raise Refused("complete", answer)
        except Refused as refusal:
            if refusal.status != 503:
                raise
        self._serve_soon(connection)
        work.insert(0, plan)

    def _serve_soon(self, connection: Connection):
        """Waits until the catalog is written again, so that the next fault is met and not this one."""
        self._control.disarm()
        deadline = time.monotonic() + RECOVERY_LIMIT
        while connection.ask("GET", "/ready").status != 200 and time.monotonic() < deadline:
            time.sleep(0.02)

    def _serves_again(self, server: Server, fault: Fault, number: int) -> bool:
        """Whether a whole upload succeeds soon, by the process that met the fault."""
        deadline = time.monotonic() + RECOVERY_LIMIT
        started, attempt, said = time.monotonic(), 0, "nothing"
        while time.monotonic() < deadline and not server.has_ended:
            attempt += 1
            plan = workload.plans(f"{self._name}-{number}-after-{attempt}", 1, self._name)[0]
            promise = Promise(plan.name, plan.key, plan.size)
            connection = Connection(server)
            try:
                uploader = Uploader(connection, promise, self._note)
                uploader.start()
                uploader.complete(0)
                self._ledger.promises[plan.name] = promise
                self.findings.slowest = max(self.findings.slowest, time.monotonic() - started)
                return True
            except (Refused, Unanswered) as error:
                said = str(error)
                time.sleep(0.02)
            finally:
                connection.close()
        self._lose(fault, f"it does not serve again: {said}; the server said: {server.said()}")
        return False

    def _check_power_loss(self, chosen: list[Fault]):
        """The power goes at the end of each run: a sync that failed has made nothing durable."""
        explorer = Explorer(self._tools, self._trace)
        entries = journal.read(self._trace)
        pauses = {number: json.loads(entry.data)["value"] for number, entry in enumerate(entries)
                  if entry.kind is Kind.MARK and b'"pause"' in entry.data}
        states = {point: [State(point, "none", 0)] for point in pauses}
        last = max(pauses)
        states[last].append(State(last, "all", 0))
        explorer.walk(states)
        for loss in explorer.findings.losses:
            fault = chosen[pauses[loss.state.point]]
            self._lose(fault, "; ".join(loss.sentences[:3]) + " (after a power loss)\n" + loss.promises)


def _carry_out(task: tuple[Tools, str, list[Fault]]) -> Findings:
    return carry_out(*task)


def carry_out(tools: Tools, name: str, chosen: list[Fault]) -> Findings:
    """A batch of runs. An answer that ends it is a loss, too."""
    try:
        return Batch(tools, name).carry_out(chosen)
    except (ServerFailed, Unanswered, Refused) as error:
        return Findings(losses=[f"LOST  {name}: {error}"])


def run(tools: Tools, runs: int, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether all went well, and the line that says so."""
    started = time.monotonic()
    findings = Findings()
    supply = faults()
    numbers = itertools.count()
    # More than there are processors: half of the time, a run waits for the server's next attempt or for the reclaimer.
    with workers.pool(2 * workers.COUNT) as pool:
        while findings.runs < runs and not findings.losses:
            batches = -(-(runs - findings.runs) // BATCH)
            chosen = list(itertools.islice(supply, batches * BATCH))
            # Dealt out like cards, because the calls whose failures take long stand together.
            tasks = [(tools, f"batch-{seed}-{next(numbers)}", chosen[number::batches]) for number in range(batches)]
            for found in pool.imap_unordered(_carry_out, tasks):
                findings.add(found)
    never = [f"{kind.name} {place.name}" for kind, place in CALLS if not findings.met[kind, place]]
    lines = findings.losses[:10] + [f"MISSED  no run in which {call} failed" for call in never] + [
        f"io-errors: {findings.runs:,} runs at {len(CALLS)} calls ({findings.unmet:,} more did not meet their fault), "
        f"{findings.refused:,} uploads told of it, {len(findings.losses)} false answers, served again after "
        f"{findings.slowest:.2f} s at most, {time.monotonic() - started:.0f} s"]
    return not findings.losses and not never, "\n".join(lines)
