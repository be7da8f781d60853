"""Nodes are killed and stopped in the middle of appends and completes; clients go on through the others at once, and the
work of a stopped node that wakes up must change nothing."""

import collections
import hashlib
import math
import random
import threading
import time
from dataclasses import dataclass, field

from audit import Audit
from breaker import Breaker
from cluster import Cluster, Tools
from harness.connection import Answer
from harness.process import ServerFailed
from stream import LARGEST, Account, Attempt, slice_of_pool

CLIENTS = 8
NOTICED = 0.3  # seconds after which a client gives up on a request while a node is stopped
WANDERING = 0.08  # share of requests that their clients leave although nothing is broken
TAKEOVER_LIMIT = 10.0  # seconds for the first status and append on another node
STUCK = 60.0  # seconds after which an upload has failed
FALSE, WRONG = "claimed success falsely", "answered wrongly"
FIRST_APPEND = 64 << 10  # bytes at most, right after another node took over: its time is measured


@dataclass
class Tally:
    """The observations of all clients."""

    uploads: int = 0
    appends: int = 0
    byte_count: int = 0
    takeovers: list[float] = field(default_factory=list)  # seconds
    stale: collections.Counter = field(default_factory=collections.Counter)
    losses: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # answers that lose nothing, and are not true
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lose(self, sentence: str):
        with self.lock:
            self.losses.append(sentence)


class Gone(Exception):
    """The upload is over, one way or the other."""


class Client(threading.Thread):
    """Uploads, one after the other, until the breaker is through."""

    def __init__(self, cluster: Cluster, breaker: Breaker, tally: Tally, seed: str):
        super().__init__(daemon=True)
        self._cluster, self._breaker, self._tally = cluster, breaker, tally
        self._chance = random.Random(seed)
        self._seed = seed

    def run(self):
        number = 0
        while not self._breaker.is_over:
            number += 1
            try:
                Upload(f"{self._seed} {number}", self._cluster, self._breaker, self._tally, self._chance).run()
            except Exception as error:
                self._tally.lose(f"{self._seed} {number}: {type(error).__name__} {error}")
                return


class Upload:
    """One upload from its start to the download of its file."""

    def __init__(self, name: str, cluster: Cluster, breaker: Breaker, tally: Tally, chance: random.Random):
        self._name, self._cluster, self._breaker, self._tally = name, cluster, breaker, tally
        self._chance = chance
        self._account = Account()
        self._stale: list[Attempt] = []
        self._end = time.monotonic() + STUCK

    def run(self):
        started = self._insist("POST", "/api/blobs/uploads?filename=failover", 202)
        self._path = f"/api/blobs/uploads/{started.headers['portsip-upload-id']}"
        self._token = {"PortSIP_Upload_Token": started.headers["portsip-upload-token"]}
        for _ in range(self._chance.choice((1, 2, 3, 4, 6))):
            self._append(self._size())
        file = self._complete(self._size() if self._chance.random() < 0.6 else 0)
        self._check_download(file)
        self._judge_stale(file)
        # Once more, now that nobody works on it any longer.
        self._check_download(file)
        self._insist("POST", f"/api/files/{file['id']}/destroy", 204, 404)
        with self._tally.lock:
            self._tally.uploads += 1
            self._tally.byte_count += file["size"]

    def _size(self) -> int:
        return int(math.exp(self._chance.uniform(0, math.log(LARGEST))))

    # MARK: Requests

    def _try(self, method: str, path: str, body=b"", may_wander: bool = False, **headers) -> Attempt:
        """One request. It may have been left without an answer: because a node is stopped, and it could be that one, or
        because its client moved on."""
        door, without = self._breaker.door()
        attempt = Attempt(door, method, path, body, **headers)
        if attempt.offset is not None:
            self._account.attempts.append(attempt)
        wanders = may_wander and self._chance.random() < WANDERING
        leaving = self._chance.uniform(0, 0.2) if wanders else math.inf
        while not attempt.ended.wait(0.01):
            age = time.monotonic() - attempt.began
            if age > leaving or min(age, self._breaker.stopped_for(without)) > NOTICED:
                if self._chance.random() < 0.3:
                    attempt.hang_up()
                if attempt.offset is not None:
                    self._stale.append(attempt)
                attempt.wandered = age > leaving
                break
            if time.monotonic() > self._end:
                raise TimeoutError(f"{method} {path} takes for ever")
        return attempt

    def _insist(self, method: str, path: str, *statuses: int) -> Answer:
        """A request that may be sent again."""
        while True:
            attempt = self._try(method, path)
            if attempt.ended.is_set() and attempt.status in statuses:
                return attempt.answer
            self._check_failure(attempt)

    def _check_failure(self, attempt: Attempt):
        """The answers that may come while nodes come and go: none, an error of nginx, that another request is there, and
        that the upload stands elsewhere."""
        answer = attempt.answer if attempt.ended.is_set() else None
        if answer and answer.status not in (502, 503, 504, 409, 400, 404):
            raise AssertionError(f"{attempt.path}: {answer.text()}")
        if time.monotonic() > self._end:
            raise TimeoutError(f"stuck at {attempt.path}: {answer and answer.text()}")
        time.sleep(0.005)

    def _advance(self, offset: int):
        if wrong := self._account.advance(offset):
            raise AssertionError(wrong)

    def _status(self):
        """Asks until an answer comes how far the upload has come."""
        answer = self._insist("GET", f"{self._path}/status", 204, 404)
        if answer.status == 404:
            raise Gone
        self._advance(answer.offset)

    # MARK: Steps

    def _append(self, size: int):
        attempt = self._send("append", size)
        if self._took(attempt):
            return
        asked, began = self._asked(attempt), time.monotonic()
        while True:
            self._status()
            attempt = self._send("append", min(size, FIRST_APPEND), may_wander=False)
            if self._took(attempt):
                break
            self._check_failure(attempt)
        self._breaker.taken_over(asked)
        self._tally.takeovers.append(time.monotonic() - began)

    def _send(self, step: str, size: int, may_wander: bool = True, query: str = "") -> Attempt:
        body = slice_of_pool(self._chance, size)
        return self._try("POST", f"{self._path}/{step}{query}", body, may_wander, Upload_Offset=self._account.told,
                         **self._token)

    def _took(self, attempt: Attempt) -> bool:
        """Whether an append was answered with success."""
        if not (attempt.ended.is_set() and attempt.status == 203):
            return False
        self._advance(attempt.answer.offset)
        if attempt.answer.offset != attempt.end:
            raise AssertionError(f"an append to {attempt.end} is told {attempt.answer.offset}")
        self._account.settle(attempt)
        self._tally.appends += 1
        return True

    @staticmethod
    def _asked(attempt: Attempt) -> float:
        """When a request was sent that was broken off; never, if its client left of its own accord."""
        return math.inf if attempt.wandered else attempt.began

    def _complete(self, size: int) -> dict:
        body = slice_of_pool(self._chance, size)
        is_first = True
        while True:
            digest = self._account.digest_with(body)
            attempt = self._try("POST", f"{self._path}/complete" + (f"?digest={digest}" if digest else ""), body,
                                is_first, Upload_Offset=self._account.told, **self._token)
            if attempt.ended.is_set() and attempt.status == 201:
                return self._completed(attempt.answer)
            if is_first:
                self._breaker.taken_over(self._asked(attempt))
            is_first = False
            self._check_failure(attempt)
            try:
                self._status()
            except Gone:
                # One of the completes succeeded, and its answer was lost.
                again = self._insist_on_complete()
                return self._completed(again)
            body = slice_of_pool(self._chance, min(size, FIRST_APPEND))

    def _insist_on_complete(self) -> Answer:
        while True:
            attempt = self._try("POST", f"{self._path}/complete", **self._token)
            if attempt.ended.is_set() and attempt.status == 201:
                return attempt.answer
            if attempt.ended.is_set() and attempt.status == 404:
                raise AssertionError(f"an upload of {self._account.told} bytes is gone")
            self._check_failure(attempt)

    def _completed(self, answer: Answer) -> dict:
        file = answer.json()
        self._advance(file["size"])
        if not self._account.settle_digest(file["digest"]):
            raise AssertionError(f"{file['size']} bytes were completed with the digest {file['digest']}, and these bytes "
                                 "were never sent so")
        return file

    # MARK: Checks

    def _check_download(self, file: dict):
        answer = self._insist("GET", f"/api/blobs/{file['digest']}", 200)
        found = hashlib.sha256(answer.body).hexdigest()
        if found != file["digest"] or len(answer.body) != file["size"]:
            raise AssertionError(f"{file} is downloaded as {len(answer.body)} bytes {found}")

    def _judge_stale(self, file: dict):
        """The answers to requests that others had overtaken, when they came at last."""
        for attempt in self._stale:
            if not attempt.ended.wait(60):
                raise TimeoutError(f"{attempt.path} has had no answer for a minute, and every node runs")
            outcome = self._outcome(attempt, file)
            told = (f"{self._name}: a stale {attempt.path} at {attempt.offset} is answered "
                    f"{attempt.answer.text() if attempt.answer else None}")
            with self._tally.lock:
                self._tally.stale[outcome] += 1
                if outcome == FALSE:
                    self._tally.losses.append(told)
                elif outcome == WRONG:
                    self._tally.wrong.append(told)

    def _outcome(self, attempt: Attempt, file: dict) -> str:
        match attempt.status:
            case 0:
                return "gone"
            case 203:
                return "true" if attempt.answer.offset <= self._account.kept_of(attempt) else FALSE
            case 201:
                return "true" if attempt.answer.json()["digest"] == file["digest"] else FALSE
            case 400 | 404 | 409 | 416 | 502 | 503 | 504:
                return str(attempt.status)
        # 410, above all: nothing has failed.
        return WRONG


def run(tools: Tools, failovers: int, seed: int, name: str = "failover", careless: str = "") -> tuple[bool, str]:
    """The part of the test. Returns whether nothing was lost, and the line that says so."""
    began = time.monotonic()
    tally = Tally()
    with Cluster(tools, name, careless=careless) as cluster:
        breaker = Breaker(cluster, failovers, seed, tally.losses)
        clients = [Client(cluster, breaker, tally, f"{seed} client {number}") for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            breaker.run()
        except ServerFailed as error:
            tally.lose(f"a node does not come back: {error}")
        for client in clients:
            client.join()
        audit = Audit(cluster)
        audit.compare()
        audit.expect_empty_in_old_age()
        losses = cluster.found(tally.losses + audit.losses, tally.wrong)
        slowest = max(tally.takeovers, default=0)
        cluster.is_good = not losses and slowest <= TAKEOVER_LIMIT
    stale = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.stale.items()))
    line = (f"{name}: {breaker.done} failovers ({breaker.kills} kills, {breaker.stops} stops), "
            f"{len(tally.takeovers):,} appends taken over, the slowest in {slowest:.2f} s; {tally.uploads:,} uploads, "
            f"{tally.appends:,} appends, {tally.byte_count >> 20:,} MiB; stale requests: {stale}; {tally.stale[FALSE]} "
            f"false successes, {len(tally.losses)} lost or doubled, {len(losses)} findings, {time.monotonic() - began:.0f} s")
    return cluster.is_good, "\n".join([*losses, line])
