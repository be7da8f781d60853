"""Every call that the nodes make of the S3 store fails in every way, while clients upload, download and delete; and the
store goes away altogether, and comes back."""

import json
import random
import threading
import time
from dataclasses import replace

from audit import Audit
from cluster import Cluster, Tools
from crowd import Crowd, Readers, Record, plans
from harness.process import CommandFailed
from harness.workload import Plan
from s3_proxy import Fault, Kind, Operation, Proxy

# The operations that the nodes ask for, and the work that makes them do so.
OPERATIONS = (Operation.PUT, Operation.GET, Operation.HEAD, Operation.HEAD_BUCKET, Operation.DELETE_MANY,
              Operation.LIST, Operation.LIST_UPLOADS, Operation.CREATE, Operation.PART, Operation.COPY_PART,
              Operation.COMPLETE, Operation.ABORT)
# Calls of one piece of work, which is given up where one of them fails for good, and begun anew much later.
COMPOSING = (Operation.CREATE, Operation.PART, Operation.COPY_PART, Operation.COMPLETE)
# A node composes until a call fails or is not answered, and again ten seconds later: of three, all would be waiting.
NODES = 6
# A blob of a piece that is large enough to be copied, and of two that are not: composing it takes every kind of call.
COMPOSED_SIZE, COMPOSED_CUTS = 5_700_000, (5_500_000, 5_600_000)
PERSISTENT = 6  # calls with the same fault: more than a node tries
ROUND = 40.0  # seconds for faults
LONGEST_ROUND = 90.0  # seconds, where some kind of fault has met no call by then
BETWEEN = 0.2  # seconds from one fault to the next of the same call
AWAY = 6.0  # seconds for which the store is away
FAST = 10.0  # seconds that a refusal may take while it is
RECOVERY_LIMIT = 15.0  # seconds after which everything works again


def work(seed: int) -> list[Plan]:
    """The large ones among the uploads become such blobs, and stay."""
    return [plan if plan.size < COMPOSED_SIZE else replace(plan, key=plan.name, size=COMPOSED_SIZE, cuts=COMPOSED_CUTS,
                                                          fate="complete", is_temporary=False)
            for plan in plans("s3", 100_000, seed)]


class Prober:
    """Asks the nodes whether they are ready, checks what they hold, and makes blobs old enough to be composed of their
    pieces: calls that the nodes would make once in a while happen all the time."""

    def __init__(self, cluster: Cluster, record: Record):
        self._cluster, self._record = cluster, record
        self._is_stopping = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=work, daemon=True) for work in (
            *((0.2, self._ask, number) for number in range(NODES)), (1.0, self._check), (1.0, self._age))]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._is_stopping.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, pause: float, work, *arguments):
        while not self._is_stopping.wait(pause):
            work(*arguments)

    def _ask(self, number: int):
        status = self._cluster.readiness(number)
        if status not in (200, 503):
            self._record.blame(f"/ready is answered with {status}")

    def _check(self):
        try:
            output = self._cluster.run("check", "--quick")
        except CommandFailed as error:
            output = str(error)
        events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        if any(event.get("damaged") or event["event"] in ("damaged", "missing") for event in events):
            self._record.blame(f"what cannot be reached is taken for damaged: {events}")

    def _age(self):
        self._cluster.query("UPDATE contents SET created = created - 100000 WHERE state = 1 AND piece_count > 1")


class Injector(threading.Thread):
    """Makes one operation fail in every way, one after the other: once each, and then for as long as a node tries."""

    def __init__(self, proxy: Proxy, operation: Operation, chance: random.Random, rounds: int):
        super().__init__(daemon=True)
        self.operation = operation
        self.peers: list[Injector] = []  # whose single faults come before the lasting ones of this
        self._proxy = proxy
        self._is_stopping = threading.Event()
        # Work that is given up comes seldom: each try meets another fault.
        self._pause = 0 if operation is Operation.ABORT else BETWEEN
        kinds = kinds_of(operation)
        chance.shuffle(kinds)
        # Faults that hold up their caller for half a minute come last.
        kinds.sort(key=lambda kind: kind is Kind.SILENT)
        # A reply that fails to come six times would take too long.
        again = [kind for kind in kinds if kind is not Kind.SILENT]
        self.waiting = [fault for _ in range(rounds) for fault in (
            *(Fault(operation, kind) for kind in kinds), *(Fault(operation, kind, PERSISTENT) for kind in again))]

    def run(self):
        while self.waiting:
            fault = self.waiting[0]
            while fault.times > 1 and any(peer.is_at_single_faults for peer in self.peers):
                if self._is_stopping.wait(0.2):
                    return
            self._proxy.arm(fault)
            while not fault.begun.wait(0.2):
                if self._is_stopping.is_set():
                    return
            self.waiting.pop(0)
            if self._is_stopping.wait(self._pause):
                return

    @property
    def is_at_single_faults(self) -> bool:
        return bool(self.waiting) and self.waiting[0].times == 1

    def stop(self):
        self._is_stopping.set()
        self.join()


def kinds_of(operation: Operation) -> list[Kind]:
    """The ways in which it is made to fail."""
    return [kind for kind in Kind if kind is not Kind.SLOW or operation is Operation.GET]


def unmet(proxy: Proxy) -> list[str]:
    """Kinds of faults that have met no call."""
    return [f"{operation.value}: {kind.value}" for operation in OPERATIONS for kind in kinds_of(operation)
            if not proxy.injected[operation, kind]]


def inject(proxy: Proxy, seed: int, rounds: int):
    injectors = [Injector(proxy, operation, random.Random(f"{seed} {operation}"), rounds) for operation in OPERATIONS]
    composing = [injector for injector in injectors if injector.operation in COMPOSING]
    for injector in composing:
        injector.peers = composing
    for injector in injectors:
        injector.start()
    began = time.monotonic()
    while (took := time.monotonic() - began) < rounds * ROUND or unmet(proxy) and took < rounds * LONGEST_ROUND:
        time.sleep(0.2)
    for injector in injectors:
        injector.stop()
    proxy.disarm()


def stay_away(cluster: Cluster, proxy: Proxy, seed: int) -> tuple[Crowd, Record, float]:
    """Takes the store away from clients at work. Returns their work and answers, and the seconds until everything
    worked again."""
    record = Record()
    crowd = Crowd(cluster.door, record, plans("away", 10_000, seed))
    time.sleep(1)
    proxy.go_away()
    time.sleep(AWAY)
    for number in range(NODES):
        if (status := cluster.readiness(number)) != 503:
            record.blame(f"without the store, /ready is answered with {status}")
    began = time.monotonic()
    proxy.come_back()
    completed = sum(bool(promise.file) for promise in list(crowd.promises.values()))
    crowd_limit = began + 2 * RECOVERY_LIMIT
    while time.monotonic() < crowd_limit:
        is_ready = all(cluster.readiness(number) == 200 for number in range(NODES))
        now = sum(bool(promise.file) for promise in list(crowd.promises.values()))
        if is_ready and now > completed + 3:
            break
        time.sleep(0.05)
    recovery = time.monotonic() - began
    crowd.stop()
    crowd.finish(30)
    return crowd, record, recovery


def run(tools: Tools, rounds: int, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether nothing was lost, and the lines that say so."""
    began = time.monotonic()
    proxy = Proxy(tools.ceph.port)
    with Cluster(tools, "s3-faults", s3_port=proxy.port, nodes=NODES) as cluster:
        record = Record()
        crowd = Crowd(cluster.door, record, work(seed), pause=0.2)
        readers = Readers(cluster.door, crowd, str(seed))
        prober = Prober(cluster, record)
        inject(proxy, seed, rounds)
        crowd.stop()
        crowd.finish(100)
        readers.stop()
        prober.stop()
        away, heard, recovery = stay_away(cluster, proxy, seed)
        ledger = crowd.ledger
        ledger.promises |= away.promises
        audit = Audit(cluster).check(ledger)
        audit.delete_everything()
        audit.expect_empty_in_old_age()
        proxy.go_away()
        losses = cluster.found(audit.losses, record.wrong + heard.wrong)
        is_fast = heard.slowest_refusal <= FAST and recovery <= RECOVERY_LIMIT
        missed = unmet(proxy)
        cluster.is_good = not losses and not missed and is_fast
    lines = [
        f"s3-faults: {sum(proxy.injected.values()):,} faults of {len(proxy.injected)} kinds in "
        f"{sum(proxy.calls.values()):,} calls of {len(proxy.calls)} kinds; "
        f"{len(ledger.promises):,} uploads, {readers.downloads:,} downloads, {record.text()}; store away: "
        f"{heard.text()}, all well again after {recovery:.1f} s; {audit.strays} objects without a row; "
        f"{len(losses)} wrong or lost, {time.monotonic() - began:.0f} s"]
    if missed:
        lines.append(f"    kinds of faults that met no call: {'; '.join(missed)}")
    return cluster.is_good, "\n".join([*losses, *lines])
