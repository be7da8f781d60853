"""Fills a database of many nodes with files that nobody uploaded: the one place here that knows those tables.

The tables are those of docs/storage-format.md. The rows are made by the database itself, as functions of their numbers,
so that they are the same every time. They go in with every index in place and in the order of uploads, so that the
indexes are as full and as scattered as real ones. Two things are left out meanwhile: foreign keys, which hold by the
way the rows are made, and the triggers that count, whose sums are written at the end.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from harness.engines import psql

from .fill import FIRST_CREATED, SNOWFLAKE_EPOCH, SNOWFLAKE_SEQUENCE_BITS, SUFFIXES, WORDS, wire_id

LARGEST_OWNER = "owner-0"
BATCH = 50_000  # Rows of `files` per transaction.
SESSIONS = 2
DAY = 86_400_000


def _chance(seed: int, number: str = "n") -> str:
    """SQL: an integer from 0 on that looks like chance, and is the same for the same number."""
    return f"(hashint8extended({number}, {seed}) & 9223372036854775807)"


def _one_of(words: tuple[str, ...], seed: int) -> str:
    return f"(string_to_array('{' '.join(words)}', ' '))[1 + {_chance(seed)} % {len(words)}]"


# Of the row n. Every twentieth file has the bytes of the one before it, so a blob is known by its first file's number.
BLOB = "(n - (n % 20 = 0)::int)"
CREATED = f"({FIRST_CREATED} + n * 6000::bigint + {_chance(1)} % 6000)"
ID = f"(({CREATED} - {SNOWFLAKE_EPOCH}) << {SNOWFLAKE_SEQUENCE_BITS} | n % {1 << SNOWFLAKE_SEQUENCE_BITS})"
DIGEST = f"sha256(int8send({BLOB}))"
NAME = f"{_one_of(WORDS, 2)} || '-' || {_chance(3)} % 1000000000 || '.' || {_one_of(SUFFIXES, 4)}"
# From 1 KiB to 16 MiB, as many of each power of two; above it, an object would not be one piece.
SIZE = f"(1024 * 2 ^ (14 * ({_chance(5, BLOB)} % 1000000) / 1e6))::bigint"
# A thousand owners, the first with a sixth of all files, the last with a few of ten thousand.
OWNER = f"'owner-' || floor(1000 * (({_chance(6)} % 1000000) / 1e6) ^ 4)::int"
IS_TEMPORARY = "n % 10 = 0"
EXPIRES = f"CASE WHEN {IS_TEMPORARY} THEN now_ms() + {DAY} + {_chance(7)} % (29 * {DAY}::bigint) END"
UPLOAD = "md5('upload' || {})::uuid"
OBJECT = "'1-0-' || substr(md5('object' || {}), 1, 16)"

FILES = f"""
    INSERT INTO blobs (digest, size) SELECT {DIGEST}, {SIZE}
        FROM generate_series({{first}}, {{last}}) n WHERE n % 20 <> 0;
    INSERT INTO files (id, digest, owner, name, size, temporary, created, expires)
        SELECT {ID}, {DIGEST}, {OWNER}, {NAME}, {SIZE}, {IS_TEMPORARY}, {CREATED}, {EXPIRES}
        FROM generate_series({{first}}, {{last}}) n;
    INSERT INTO contents (id, digest, size, upload, epoch, state, created, piece_count) OVERRIDING SYSTEM VALUE
        SELECT n, {DIGEST}, {SIZE}, {UPLOAD.format("n")}, 1, 1, {CREATED}, 1
        FROM generate_series({{first}}, {{last}}) n WHERE n % 20 <> 0;
    INSERT INTO pieces (content, start, size, name) SELECT n, 0, {SIZE}, {OBJECT.format("n")}
        FROM generate_series({{first}}, {{last}}) n WHERE n % 20 <> 0;
"""

# The rows of a server in use beside its files: uploads completed within the last days, some that are open, blobs whose
# last file has just gone, contents and objects that were released within the restore window. None of them are due.
BESIDE = f"""
    INSERT INTO uploads (id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state, file_id,
            file_digest, file_created, file_expires, content)
        SELECT {UPLOAD.format("n")}, {OWNER}, {NAME}, {IS_TEMPORARY}, now_ms() + 7 * {DAY}, 1, {SIZE}, 0,
            decode(repeat('5a', 72), 'hex'), 1, {ID}, {DIGEST}, {CREATED}, {EXPIRES}, n
        FROM generate_series({{count}} - {{count}} / 100, {{count}}) n WHERE n % 20 <> 0;
    INSERT INTO uploads (id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state)
        SELECT {UPLOAD.format("'open' || n")}, {OWNER}, {NAME}, false, now_ms() + 7 * {DAY}, 1, 16777216, 16777216,
            decode(repeat('5a', 72), 'hex'), 0
        FROM generate_series(1, {{count}} / 10000 + 10) n;
    INSERT INTO segments (upload, start, epoch, size, name)
        SELECT {UPLOAD.format("'open' || n")}, 0, 1, 16777216, {OBJECT.format("'open' || n")}
        FROM generate_series(1, {{count}} / 10000 + 10) n;
    INSERT INTO blobs (digest, size, dying_since) SELECT {DIGEST}, {SIZE}, now_ms()
        FROM generate_series({{count}} + 1, {{count}} + {{count}} / 1000) n WHERE n % 20 <> 0;
    INSERT INTO contents (digest, size, upload, epoch, state, created, removed, piece_count)
        SELECT {DIGEST}, {SIZE}, {UPLOAD.format("n")}, 1, 3, now_ms(), now_ms(), 0
        FROM generate_series({{count}} * 2, {{count}} * 2 + {{count}} / 100) n;
    INSERT INTO released (upload, name, since)
        SELECT {UPLOAD.format("n")}, {OBJECT.format("n")}, now_ms()
        FROM generate_series({{count}} * 3, {{count}} * 3 + {{count}} / 100) n;
"""

COUNTERS = """
    INSERT INTO usage SELECT owner, 0, count(*), sum(size), sum(charge(size)), 0 FROM files GROUP BY owner;
    UPDATE totals SET files = (SELECT count(*) FROM files) WHERE slot = 0;
    UPDATE blob_totals SET (blobs, blob_bytes) = (SELECT count(*), sum(size) FROM blobs) WHERE slot = 0;
"""


@dataclass(frozen=True)
class CloudFile:
    """A file that is looked up."""

    id: str  # On the wire.
    digest: bytes


def fill(url: str, count: int):
    """Records `count` files in a database that was just made. The URL is a superuser's."""
    def session(number: int):
        batches = range(1 + number * BATCH, count + 1, SESSIONS * BATCH)
        psql(url, "SET session_replication_role = replica;" + "".join(
            f"BEGIN; {FILES.format(first=first, last=min(first + BATCH - 1, count))} COMMIT;" for first in batches))

    with ThreadPoolExecutor(SESSIONS) as sessions:
        list(sessions.map(session, range(SESSIONS)))
    psql(url, f"""
        SET session_replication_role = replica;
        SELECT setval(pg_get_serial_sequence('contents', 'id'), {count});
        {BESIDE.format(count=count)} {COUNTERS}
        VACUUM ANALYZE;
    """)


def sample(url: str, count: int, wanted: int) -> list[CloudFile]:
    """Some of the files, evenly spread and in no order."""
    rows = psql(url, f"""
        SELECT {ID}, encode({DIGEST}, 'hex') FROM generate_series(1, {count}, {max(1, count // wanted)}) n
            ORDER BY {_chance(8)}
    """)
    return [CloudFile(wire_id(int(id_)), bytes.fromhex(digest)) for id_, digest in rows]
