"""The trace: the records of the shim and the clients, in the order in which things happened.

Each entry is one append to one file, so that an answer that a client got stands behind the syncs that it was based on.
"""

import enum
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

HEAD = struct.Struct("<IBBHHHIQq")  # struct record in shim.h


class Kind(enum.IntEnum):
    """The kind of an operation; with the first ones the shim can interfere. The order is that of shim.h."""

    OPEN = 0
    WRITE = 1
    TRUNCATE = 2
    ALLOCATE = 3
    SYNC = 4
    DATA_SYNC = 5
    LINK = 6
    RENAME = 7
    UNLINK = 8
    MKDIR = 9
    CLOSE = 10
    CREATE = 11
    FAILED_SYNC = 12
    MARK = 100


class Place(enum.IntEnum):
    """The purpose of a file to the server. The order is that of shim.h."""

    UPLOAD = 0
    UPLOADS = 1
    BLOB = 2
    BLOB_DIRECTORY = 3
    BLOBS = 4
    DATABASE = 5
    WAL = 6
    DATA = 7
    OUTSIDE = 8
    OTHER = 9


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation that took effect, or one mark of a client."""

    kind: Kind
    place: Place
    path: str  # from the folder on, in which the data directory is; empty for a file without a name
    target: str  # of a rename
    inode: int
    offset: int  # or the new length
    data: bytes

    def text(self) -> str:
        """For people."""
        size = f" {self.offset}+{len(self.data)}" if self.kind is Kind.WRITE else ""
        return f"{self.kind.name} {self.place.name} #{self.inode} {self.path} {self.target}{size}".strip()


def read(path: Path) -> list[Entry]:
    """All entries of a trace."""
    content = path.read_bytes()
    entries, at = [], 0
    while at < len(content):
        size, kind, place, path_length, target_length, _, data_length, inode, offset = HEAD.unpack_from(content, at)
        name = at + HEAD.size
        target = name + path_length
        data = target + target_length
        if data + data_length - at != size:
            raise ValueError(f"{path}: the entry at byte {at} is damaged")
        entries.append(Entry(Kind(kind), Place(place), content[name:target].decode(), content[target:data].decode(),
                             inode, offset, content[data:data + data_length]))
        at += size
    return entries


class Marks:
    """Where clients write down their requests before they make them, and the answers."""

    def __init__(self, path: Path):
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, **mark):
        """Appends one mark."""
        data = json.dumps(mark).encode()
        head = HEAD.pack(HEAD.size + len(data), Kind.MARK, Place.OTHER, 0, 0, 0, len(data), 0, 0)
        os.write(self._file, head + data)

    def close(self):
        os.close(self._file)
