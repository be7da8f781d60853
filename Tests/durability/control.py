"""The driver's side of the shim: how it is compiled, and the mapped file that gives it its orders."""

import enum
import mmap
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from journal import Kind, Place

FIELDS = ("armed", "kinds", "places", "at", "times", "action", "error", "seen", "hits", "mutations")  # struct control
ALWAYS = 1 << 40  # a number of times that is never reached

# The calls between a client's bytes and the disk.
WRITE_PATH = (Kind.OPEN, Kind.WRITE, Kind.TRUNCATE, Kind.SYNC, Kind.DATA_SYNC, Kind.LINK, Kind.RENAME, Kind.UNLINK,
              Kind.MKDIR)

# Where a kill may fall between two steps of an upload.
STEPS = (
    (Kind.OPEN, Place.UPLOAD), (Kind.WRITE, Place.UPLOAD), (Kind.DATA_SYNC, Place.UPLOAD), (Kind.LINK, Place.UPLOAD),
    (Kind.SYNC, Place.UPLOAD), (Kind.SYNC, Place.UPLOADS), (Kind.LINK, Place.BLOB), (Kind.RENAME, Place.BLOB),
    (Kind.SYNC, Place.BLOB_DIRECTORY),
    (Kind.WRITE, Place.WAL), (Kind.DATA_SYNC, Place.WAL), (Kind.UNLINK, Place.UPLOAD), (Kind.UNLINK, Place.BLOB),
)


class Action(enum.IntEnum):
    """The fate of a chosen call. The order is that of shim.h."""

    FAIL = 0
    SHORT = 1
    KILL_BEFORE = 2
    KILL_AFTER = 3
    SWALLOW = 4  # nothing is done and success reported: as if the server ignored an error
    LOSE = 5  # a sync fails, and the bytes written since the last one are gone from the file
    LOSE_SILENTLY = 6  # the same, and success reported: as if the server synced again after a failure


class Mutation(enum.IntFlag):
    """The ways in which the shim makes a server careless."""

    NO_UPLOAD_SYNC = 1
    NO_NAME_COUNT_SYNC = 2
    NO_UPLOADS_SYNC = 4
    NO_BLOB_DIRECTORY_SYNC = 8
    NO_WAL_SYNC = 16
    NO_DATABASE_SYNC = 32
    NO_DATA_DIRECTORY_SYNC = 64
    NO_BLOBS_SYNC = 128
    ROW_BEFORE_BYTES = 256
    PUBLISH_BY_RENAME = 512
    SYNCHRONOUS_NORMAL = 1024  # the WAL is synced before a checkpoint only, as SQLite does at that setting
    ACKNOWLEDGE_BEFORE_COMMIT = 2048  # a client may hear of its row before the WAL is synced


@dataclass(frozen=True)
class Environment:
    """The shim's orders; see shim/interference.c."""

    library: Path
    root: Path
    control: Path | None = None
    trace: Path | None = None

    def variables(self) -> dict[str, str]:
        named = {"LD_PRELOAD": self.library, "DURABILITY_ROOT": self.root, "DURABILITY_CONTROL": self.control,
                 "DURABILITY_TRACE": self.trace}
        return {name: str(path) for name, path in named.items() if path is not None}


def compile_shim(folder: Path) -> Path:
    """Builds the library into a folder."""
    library = folder / "shim.so"
    sources = sorted((Path(__file__).resolve().parent / "shim").glob("*.c"))
    subprocess.run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(library),
                    *map(str, sources)], check=True)
    return library


class Control:
    """Arms the shim of a running server."""

    def __init__(self, path: Path, mutations: Mutation = Mutation(0)):
        self.path = path
        path.write_bytes(bytes(8 * len(FIELDS)))
        file = os.open(path, os.O_RDWR)
        self._map = mmap.mmap(file, 8 * len(FIELDS))
        os.close(file)
        self._set("mutations", int(mutations))

    def _set(self, field: str, value: int):
        struct.pack_into("<Q", self._map, 8 * FIELDS.index(field), value)

    def _get(self, field: str) -> int:
        return struct.unpack_from("<Q", self._map, 8 * FIELDS.index(field))[0]

    def arm(self, action: Action, *, kinds=WRITE_PATH, places=tuple(Place), at: int = 1, times: int = 1,
            error: int = 0):
        """From now on, the `at`-th call of these kinds and places and as many after it as `times` says meet their fate."""
        self.disarm()
        values = {"kinds": sum(1 << kind for kind in kinds), "places": sum(1 << place for place in places), "at": at,
                  "times": times, "action": action, "error": error, "seen": 0, "hits": 0}
        for field, value in values.items():
            self._set(field, value)
        self._set("armed", 1)

    def disarm(self):
        self._set("armed", 0)

    @property
    def hits(self) -> int:
        """The calls that met their fate since the shim was armed."""
        return self._get("hits")

    def close(self):
        self._map.close()
