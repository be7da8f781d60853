"""Fills a stopped server's catalog with files that nobody uploaded: the one place here that knows how blobd stores.

The tables are those of docs/storage-format.md. Their counters are kept by triggers, which these rows set off too; the
rows go in one by one in the order in which a server would have written them, so that the indexes are as full and as
scattered as real ones.
"""

import base64
import hashlib
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIRST_CREATED = 1_700_000_000_000  # Milliseconds since 1970.
SNOWFLAKE_EPOCH = 1_514_764_800_000
SNOWFLAKE_SEQUENCE_BITS = 22
LARGEST = 64 << 10
WORDS = ("report", "invoice", "scan", "photo", "recording", "voicemail", "contract", "backup", "minutes", "drawing")
SUFFIXES = ("pdf", "png", "wav", "mp3", "txt", "zip")


@dataclass(frozen=True)
class StoredFile:
    """A row to be: a permanent file with a blob of its own."""

    number: int
    digest: bytes
    name: str
    size: int
    created: int

    @property
    def snowflake(self) -> int:
        return (self.created - SNOWFLAKE_EPOCH) << SNOWFLAKE_SEQUENCE_BITS

    @property
    def id(self) -> str:
        return wire_id(self.snowflake)


def wire_id(snowflake: int) -> str:
    """A file's id as clients see it."""
    return base64.b64encode(str(snowflake).encode()).decode()


def invented_files(count: int) -> Iterator[StoredFile]:
    """The same files every time. Names and sizes are in no order, times rise, digests are digests of nothing."""
    chance = random.Random(count)
    created = FIRST_CREATED
    for number in range(count):
        created += chance.randint(1, 60_000)
        name = f"{chance.choice(WORDS)}-{chance.randrange(10**9)}.{chance.choice(SUFFIXES)}"
        yield StoredFile(number, hashlib.sha256(number.to_bytes(8)).digest(), name, chance.randint(1, LARGEST), created)


def fill(data: Path, count: int, sample: int) -> list[StoredFile]:
    """Records `count` files in the catalog, as owned by its first token, and returns `sample` of them, evenly spread
    and in no order. Only these have bytes on the disk: zeros, as a server does not hash the bytes that it sends."""
    database = sqlite3.connect(data / "catalog.sqlite", isolation_level=None)
    try:
        # Durability can wait for the end; the server puts the database back into WAL mode.
        database.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000;")
        (owner,) = database.execute("SELECT name FROM tokens ORDER BY created LIMIT 1").fetchone()
        database.execute("BEGIN")
        database.executemany("INSERT INTO blobs (digest, size) VALUES (?, ?)",
                             ((file.digest, file.size) for file in invented_files(count)))
        database.executemany(
            "INSERT INTO files (id, digest, owner, name, size, temporary, created) VALUES (?, ?, ?, ?, ?, 0, ?)",
            ((file.snowflake, file.digest, owner, file.name, file.size, file.created)
             for file in invented_files(count)))
        database.execute("COMMIT")
    finally:
        database.close()
    step = max(1, count // sample)
    chosen = [file for file in invented_files(count) if file.number % step == 0]
    random.Random(count).shuffle(chosen)
    for file in chosen:
        _make_bytes(data, file)
    return chosen


def _make_bytes(data: Path, file: StoredFile):
    name = file.digest.hex()
    folder = data / "blobs" / name[:2]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / name).open("wb") as bytes_on_disk:
        bytes_on_disk.truncate(file.size)
