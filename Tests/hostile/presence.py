"""Who may upload and not download tries to tell by the clock whether the server has a content already: over many pairs of
uploads, it must not do better than by chance."""

import random
import tempfile
import time
from pathlib import Path

from harness import blobd
from harness.blobd import Server
from harness.client import Uploader
from harness.connection import Connection, Door
from harness.ledger import Promise

PAIRS = 250
SIZES = (1_000, 300_000)
# From one half, the share of pairs guessed right by chance: four standard deviations of it.
MARGIN = 0.13


def run(executable: Path) -> list[str]:
    """Returns what is wrong."""
    wrong = []
    with tempfile.TemporaryDirectory(prefix="blobd-presence-") as folder:
        data = Path(folder) / "data"
        server = Server(executable, data, Path(folder) / "log", options=("--private-downloads", "--max-open-uploads", "10000"))
        try:
            token = blobd.run(executable, "token", "create", "spy", "--scopes", "upload", "--data", str(data)).strip()
            owner, spy = Connection(server), Connection(Door(server.port, token))
            for size in SIZES:
                share = _guess(owner, spy, size)
                print(f"presence: {size} bytes: of {PAIRS} pairs, the content that was here already took longer in "
                      f"{share:.0%}", flush=True)
                if abs(share - 0.5) > MARGIN:
                    wrong.append(f"{size} bytes: the time tells which content is here, in {max(share, 1 - share):.0%} of pairs")
        finally:
            server.stop()
    return wrong


def _guess(owner: Connection, spy: Connection, size: int) -> float:
    """The share of pairs in which the upload of what the owner has stored took longer than one of new content."""
    chance = random.Random(size)
    slower = 0
    for number in range(PAIRS):
        _upload(owner, f"owner-{size}-{number}", f"here-{size}-{number}", size)
        kinds = ["here", "new"]
        chance.shuffle(kinds)
        times = {kind: _upload(spy, f"spy-{size}-{number}-{kind}", f"{kind}-{size}-{number}", size) for kind in kinds}
        slower += times["here"] > times["new"]
    return slower / PAIRS


def _upload(connection: Connection, name: str, key: str, size: int) -> float:
    """Uploads in one request; returns the seconds that it took."""
    uploader = Uploader(connection, Promise(name, key, size), lambda *_: None)
    uploader.start()
    content = uploader.promise.content
    assert content
    begun = time.perf_counter()
    uploader.complete(0)
    return time.perf_counter() - begun
