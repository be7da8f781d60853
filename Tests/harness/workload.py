"""The work of clients while a trace is recorded: every way through the API that leaves something on the disk."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.blobd import Server
from harness.client import Note, Refused, Uploader
from harness.connection import Connection, Unanswered
from harness.ledger import Promise

SIZES = (0, 1, 511, 512, 4095, 4096, 4097, 70_000)
LARGE = 40_000_000  # more than the 32 MiB after which the server syncs in the middle of a body
FATES = ("complete", "complete", "complete", "repeat", "leave", "destroy", "delete")


@dataclass(frozen=True)
class Plan:
    """One upload from its start to its end."""

    name: str
    key: str
    size: int
    cuts: tuple[int, ...]  # where one append ends and the next begins
    ends_in_complete: bool  # the last piece is the body of complete
    with_digest: bool
    is_temporary: bool
    fate: str


def plans(label: str, count: int, seed: str, large: int = 0, sizes: Sequence[int] = SIZES) -> list[Plan]:
    """Uploads of a trace; always the same for the same arguments. The last `large` are of 40 MB."""
    chance = random.Random(f"{label} {seed}")
    result = []
    for number in range(count):
        size = LARGE if number >= count - large else chance.choice(sizes)
        # Every third has bytes that another one may have too.
        key = f"{seed} shared {size}" if number % 3 == 0 else f"{seed} {label} {number}"
        pieces = chance.choice((1, 1, 2, 3, 4)) if size != LARGE else 2
        cuts = tuple(sorted(chance.randrange(size + 1) for _ in range(pieces - 1)))
        result.append(Plan(f"{label}-{number}", key, size, cuts, chance.random() < 0.5, chance.random() < 0.8,
                           chance.random() < 0.2, chance.choice(FATES)))
    return result


def carry_out(plan: Plan, connection: Connection, note: Note, promise: Promise | None = None,
              failures_expected: bool = False) -> Promise:
    """One client's work from the start, or from the server's offset of a promise that was interrupted."""
    promise = promise or Promise(plan.name, plan.key, plan.size)
    uploader = Uploader(connection, promise, note)
    try:
        if not promise.id:
            uploader.start(plan.is_temporary)
            offset = 0
        elif promise.file or promise.destroyed:
            return promise
        elif promise.completing or promise.destroying:
            return _settle(uploader)
        else:
            offset = uploader.status()
        _fill(plan, uploader, offset)
        _finish(plan, uploader)
    except Unanswered:
        pass  # the server was killed; the ledger says how far this client came
    except Refused as refusal:
        # The answers that a failing disk may lead to; everything else is a fault in the test or the server.
        if not (failures_expected and refusal.status in (410, 503, 507)):
            raise
        uploader.give_up(refusal.status)
    return promise


def _settle(uploader: Uploader) -> Promise:
    """Repeats a request whose answer was lost."""
    try:
        if uploader.promise.destroying:
            uploader.destroy()
        else:
            uploader.complete(uploader.status())
    except Refused as refusal:
        if refusal.status != 404:
            raise
        if not uploader.promise.destroying:
            uploader.complete()
    return uploader.promise


def _fill(plan: Plan, uploader: Uploader, offset: int):
    ends = [cut for cut in plan.cuts if cut > offset]
    if not plan.ends_in_complete or plan.fate in ("leave", "destroy"):
        ends.append(plan.size)
    for end in ends:
        if plan.fate == "leave" and end == plan.size and len(ends) > 1:
            break  # an upload that its client never came back to
        uploader.append(offset, end)
        offset = end
    if plan.fate not in ("leave", "destroy"):
        uploader.complete(offset if offset < plan.size or plan.ends_in_complete else None, plan.with_digest)


def _finish(plan: Plan, uploader: Uploader):
    match plan.fate:
        case "repeat":
            first = uploader.promise.file
            if uploader.complete() != first:
                raise AssertionError(f"{plan.name}: a repeated complete made another file")
        case "destroy":
            uploader.destroy()
        case "delete":
            uploader.delete_file()


def run(server: Server, work: list[Plan], note: Note, clients: int = 4, promises: dict[str, Promise] | None = None,
        failures_expected: bool = False) -> dict[str, Promise]:
    """Carries out the plans with several clients at once. Returns the promises to each."""
    known = dict(promises or {})
    waiting = list(reversed(work))
    failures = []

    def client():
        connection = Connection(server)
        try:
            while True:
                try:
                    plan = waiting.pop()
                except IndexError:
                    return
                known[plan.name] = carry_out(plan, connection, note, known.get(plan.name), failures_expected)
        except Exception as error:  # shown by the thread that waits
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return known


def wait_for_reclaimer():
    """Two of its rounds, so that a trace holds the removal of deleted bytes."""
    time.sleep(2.2)


def renamed(work: list[Plan], suffix: str) -> list[Plan]:
    """The same uploads once more, under other names: their bytes are here already."""
    return [replace(plan, name=f"{plan.name}{suffix}") for plan in work]
