"""One upload whose every attempt sends other bytes, so that its digest tells whose bytes the server has kept.

A client that goes on through another node while its old request still hangs somewhere would send the same bytes again,
and nobody could see which of the two were kept, or that some of both were. So each request of a stream brings bytes of
its own, and an account is kept of the bytes that the whole may consist of.
"""

import hashlib
import random
import threading
import time
from dataclasses import dataclass, field

from harness.connection import Answer, Connection, Door, Unanswered

POOL = random.Random("pool").randbytes((40 << 20) + (1 << 20))  # from which all bytes are taken
LARGEST = 40 << 20
PATIENCE = 90.0  # seconds for one request


def slice_of_pool(chance: random.Random, size: int) -> memoryview:
    start = chance.randrange(len(POOL) - size + 1)
    return memoryview(POOL)[start:start + size]


class Attempt(threading.Thread):
    """One request on a connection of its own, which may be left waiting."""

    def __init__(self, door: Door, method: str, path: str, body: memoryview | bytes = b"", **headers):
        """With a header `Upload_Offset`, the body is meant to go there."""
        super().__init__(daemon=True)
        self.path, self.body = path, body
        self.offset: int | None = headers.get("Upload_Offset")
        self.answer: Answer | None = None
        self.wandered = False  # whether its client left though nothing was broken
        self.began = time.monotonic()
        self.ended = threading.Event()
        self._connection = Connection(door, PATIENCE)
        self._request = (method, path, body if method == "POST" else None)
        self._headers = headers
        self.start()

    @property
    def status(self) -> int:
        """0 when there was no answer."""
        return self.answer.status if self.answer else 0

    @property
    def end(self) -> int:
        """The offset behind its bytes."""
        return (self.offset or 0) + len(self.body)

    def run(self):
        try:
            self.answer = self._connection.ask(*self._request, **self._headers)
        except Unanswered:
            pass
        finally:
            self.ended.set()
            self._connection.close()

    def hang_up(self):
        """The client goes away, with its request unanswered."""
        self._connection.hang_up()


@dataclass(frozen=True)
class Extent:
    """Bytes of the upload that one attempt brought: those from where it started to `end`."""

    attempt: Attempt
    end: int


@dataclass
class Account:
    """The bytes that an upload may have, by all that its client was told. `told` is the highest offset."""

    told: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    # Each possibility: a digest so far, and whose bytes it is of.
    possible: list[tuple["hashlib._Hash", tuple[Extent, ...]]] = field(
        default_factory=lambda: [(hashlib.sha256(), ())])

    def advance(self, offset: int) -> str | None:
        """Takes in that the upload has so many bytes. Returns the contradiction, if there is one.

        The bytes that are new come from one attempt: a request writes only from the offset that it says, and the client
        knew of none between the two. So it is one that started here, or that which brought the last bytes, going on.
        """
        if offset < self.told:
            return f"{self.told} bytes were told, and now it is {offset}"
        if offset == self.told:
            return None
        found = []
        for digest, extents in self.possible:
            for attempt in self.attempts:
                goes_on = bool(extents) and extents[-1].attempt is attempt
                if attempt.end < offset or not (goes_on or attempt.offset == self.told):
                    continue
                longer = digest.copy()
                longer.update(attempt.body[self.told - attempt.offset:offset - attempt.offset])
                kept = extents[:-1] if goes_on else extents
                found.append((longer, (*kept, Extent(attempt, offset))))
        if not found:
            return f"{self.told} bytes were told, and now it is {offset}, which nobody sent"
        self.possible, self.told = found, offset
        return None

    def settle(self, attempt: Attempt):
        """Takes in that the last bytes are those of this attempt, for it was told so."""
        if len(attempt.body):
            self.possible = [one for one in self.possible if one[1] and one[1][-1].attempt is attempt]

    def settle_digest(self, digest: str) -> bool:
        """Takes in the digest of the whole; whether it can be that."""
        self.possible = [one for one in self.possible if one[0].hexdigest() == digest]
        return bool(self.possible)

    def digest_with(self, body: memoryview) -> str | None:
        """Of the whole with these bytes behind it, where it is certain."""
        if len(self.possible) != 1:
            return None
        whole = self.possible[0][0].copy()
        whole.update(body)
        return whole.hexdigest()

    def kept_of(self, attempt: Attempt) -> int:
        """The offset up to which an attempt's bytes are in the completed file."""
        ends = [extent.end for extent in self.possible[0][1] if extent.attempt is attempt]
        return ends[-1] if ends else attempt.offset
