"""Clients that carry out the plans of `workload.py` against a cluster that is being broken, and try again until they
are through; and readers of the files that they have completed."""

import collections
import random
import threading
import time
from dataclasses import dataclass, field

from harness import workload
from harness.client import Refused
from harness.connection import Answer, Connection, Door, Unanswered
from harness.ledger import Ledger, Promise

SIZES = (0, 1, 511, 4096, 70_000, 70_000, 300_000, 1_500_000, 12_000_000, 12_000_001)
PAUSE = 0.1  # seconds before a client tries again
PATIENCE = 60.0  # seconds that one request may take


@dataclass
class Record:
    """The answers to all clients."""

    answers: collections.Counter = field(default_factory=collections.Counter)
    unanswered: int = 0
    slowest_refusal: float = 0
    longest_silence: float = 0  # from the beginning of a request to its end, whatever that was
    received: int = 0  # bytes of downloads that came to their end
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def blame(self, sentence: str):
        with self.lock:
            self.wrong.append(sentence)

    def text(self) -> str:
        refused = sum(count for status, count in self.answers.items() if status >= 500)
        return (f"{sum(self.answers.values()):,} answers, {refused:,} of them 503, {self.unanswered:,} broken off, "
                f"slowest 503 {self.slowest_refusal:.1f} s")


class Watched(Connection):
    """A connection that writes down how its requests end, and answers that no server may give."""

    def __init__(self, door: Door, record: Record, timeout: float = PATIENCE):
        super().__init__(door, timeout)
        self._record = record

    def ask(self, method: str, path: str, body: bytes | None = None, **headers) -> Answer:
        began = time.monotonic()
        try:
            answer = super().ask(method, path, body, **headers)
        except Unanswered:
            with self._record.lock:
                self._record.unanswered += 1
                self._record.longest_silence = max(self._record.longest_silence, time.monotonic() - began)
            raise
        took = time.monotonic() - began
        record = self._record
        with record.lock:
            record.answers[answer.status] += 1
            record.longest_silence = max(record.longest_silence, took)
            if answer.status == 503:
                record.slowest_refusal = max(record.slowest_refusal, took)
            if answer.status >= 500 and (answer.status != 503 or "retry-after" not in answer.headers):
                record.wrong.append(f"{method} {path}: {answer.text()}, after {took:.1f} s")
        return answer


class Crowd:
    """Several clients with one list of work. `promises` is the record of their answers, for the Checker."""

    def __init__(self, door: Door, record: Record, work: list[workload.Plan], clients: int = 6,
                 pause: float = 0):
        """`pause`: seconds from the end of one upload to the next."""
        self.record = record
        self.promises: dict[str, Promise] = {}
        self._door = door
        self._waiting = list(reversed(work))
        self._pause = pause
        self._working: dict[int, Promise] = {}  # by the thread
        self._is_giving_up = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    @property
    def ledger(self) -> Ledger:
        ledger = Ledger()
        ledger.promises = self.promises
        return ledger

    @property
    def is_busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def stop(self):
        """No new work; uploads that were begun are finished."""
        self._waiting.clear()

    def finish(self, seconds: float):
        """Waits for everything that was begun; an upload that takes longer is a loss."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self.is_busy:
            self._is_giving_up.set()
            self.record.blame(f"clients are not through after {seconds:.0f} s; they work on {list(self._working.values())}")
            for thread in self._threads:
                thread.join(PATIENCE)

    def _work(self):
        connection = Watched(self._door, self.record)
        while not self._is_giving_up.is_set():
            try:
                plan = self._waiting.pop()
            except IndexError:
                break
            promise = self.promises[plan.name] = Promise(plan.name, plan.key, plan.size)
            self._working[threading.get_ident()] = promise
            while not self._is_giving_up.is_set() and self._carry_on(plan, connection, promise):
                pass
            del self._working[threading.get_ident()]
            time.sleep(self._pause)
        connection.close()

    def _carry_on(self, plan: workload.Plan, connection: Watched, promise: Promise) -> bool:
        """One more try; whether there has to be another."""
        try:
            workload.carry_out(plan, connection, lambda *_: None, promise)
        except Refused as refusal:
            # 409: a request of this client that was broken off was not over yet, or brought more than it was told.
            if refusal.status not in (503, 409):
                self.record.blame(f"{plan.name}: {refusal}")
                return False
        except Exception as error:
            self.record.blame(f"{plan.name}: {type(error).__name__} {error}")
            return False
        # A client that does not mean to complete it leaves it wherever it is.
        is_over = promise.file or promise.destroying or plan.fate == "leave" and promise.id
        if not is_over:
            time.sleep(PAUSE)
        return not is_over


class Readers:
    """Download the files that clients were told of, again and again, and compare every byte."""

    def __init__(self, door: Door, crowd: Crowd, seed: str, count: int = 2):
        self.downloads = 0
        self._door, self._crowd, self._seed = door, crowd, seed
        self._is_stopping = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._is_stopping.set()
        for thread in self._threads:
            thread.join()

    def _read(self, number: int):
        chance = random.Random(f"{self._seed} reader {number}")
        connection = Watched(self._door, self._crowd.record)
        while not self._is_stopping.wait(0.02):
            there = [promise for promise in list(self._crowd.promises.values())
                     if promise.file and not promise.deleting]
            if not there:
                continue
            promise = chance.choice(there)
            try:
                answer = connection.ask("GET", f"/api/blobs/{promise.digest}")
            except Unanswered:
                continue
            if answer.status == 200:
                self.downloads += 1
                if answer.body != promise.content:
                    self._crowd.record.blame(f"{promise.name}: a download ended well, with {len(answer.body)} other bytes")
            elif answer.status < 500 and not promise.deleting:
                self._crowd.record.blame(f"{promise.name}: its bytes are gone: {answer.text()}")
        connection.close()


def plans(label: str, count: int, seed: int, large: int = 0) -> list[workload.Plan]:
    """As those of one machine, of sizes that make one object and several."""
    return workload.plans(label, count, str(seed), large, SIZES)
