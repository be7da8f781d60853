"""A POSIX file system that promises no more than it must, to tell which states a power loss may leave.

What it takes for granted, and what it does not:

- A sync of a file makes its bytes and its size durable, and not its names. `fdatasync` does the same: the size is needed to
  read the bytes back.
- A sync of a directory makes the entries in it durable, and nothing of the files that they lead to.
- An operation that was not synced may survive or not, each by itself and whatever came before it: a write without the one
  before it leaves zeros where there was nothing, or the bytes that were there. A write may be torn, at 512 bytes (a sector) or at
  4096 (a page). Journalling file systems lose less, but POSIX allows this.
- Operations on the same bytes, or the same name, are never turned around. A rename within a directory is one operation.
- A file made without a name is deleted by the recovery of the file system until its first name is counted in its inode, and
  that takes an `fsync` after the `linkat`; `fdatasync` need not write the count. This is the careful reading: ext4 and XFS
  put the count into the same journal transaction as the entry.
- After a failed sync, its bytes or names may or may not be on the disk, and no later sync makes them so: the kernel takes
  the pages for clean. The same for a directory.
"""

import hashlib
from dataclasses import dataclass, field

from journal import Entry, Kind


@dataclass(slots=True, eq=False)
class Operation:
    """One change that a power loss may take back."""

    number: int  # of the entry in the trace
    inode: "File | Directory"
    offset: int = 0
    data: bytes | None = None  # a write; None: a truncation to `offset`, or a change of names
    names: dict | None = None  # a directory's: name to inode, or None for one that goes
    is_count: bool = False  # an unnamed file's first name is counted
    is_growth: bool = False  # an allocation: never makes a file shorter
    is_doubtful: bool = False  # a sync of it has failed


@dataclass(slots=True, eq=False)
class File:
    """The bytes that are durable, and the operations since."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)
    version: int = 0  # of `content`
    is_counted: bool = True  # False: made without a name, and the count of its names is not durable
    digests: dict = field(default_factory=dict)

    def settle(self, with_count: bool):
        """A sync that succeeded."""
        kept = []
        for operation in self.pending:
            if operation.is_count and not with_count:
                kept.append(operation)
            elif operation.is_count:
                self.is_counted = True
            elif not operation.is_doubtful:
                apply(self.content, operation)
        self.pending = kept
        self.version += 1
        self.digests.clear()

    def bytes_with(self, survivors: dict) -> bytes:
        """The bytes when of the pending operations only these survive, each wholly or in part."""
        content = bytearray(self.content)
        for operation in self.pending:
            if operation in survivors and not operation.is_count:
                apply(content, operation, survivors[operation])
        return bytes(content)

    def exists_with(self, survivors: dict) -> bool:
        return self.is_counted or any(each.is_count and each in survivors for each in self.pending)

    def digest_with(self, survivors: dict) -> bytes:
        """A hash of the bytes; remembered, because most states differ in few files."""
        key = tuple((each.number, survivors[each]) for each in self.pending if each in survivors)
        if key not in self.digests:
            self.digests[key] = hashlib.blake2b(self.bytes_with(survivors), digest_size=16).digest()
        return self.digests[key]


@dataclass(slots=True, eq=False)
class Directory:
    """The entries that are durable, and the operations since."""

    entries: dict = field(default_factory=dict)
    pending: list[Operation] = field(default_factory=list)

    def settle(self):
        for operation in self.pending:
            if not operation.is_doubtful:
                change(self.entries, operation.names)
        self.pending = []

    def entries_with(self, survivors: dict) -> dict:
        entries = dict(self.entries)
        for operation in self.pending:
            if operation in survivors:
                change(entries, operation.names)
        return entries


def apply(content: bytearray, operation: Operation, parts: tuple | None = None):
    """Carries out a write or a truncation; of a torn write only the given ranges."""
    if operation.data is None:
        length = max(operation.offset, len(content)) if operation.is_growth else operation.offset
        content.extend(bytes(max(0, length - len(content))))
        del content[length:]
        return
    for start, end in parts or ((0, len(operation.data)),):
        at = operation.offset + start
        content.extend(bytes(max(0, at - len(content))))
        content[at:at + end - start] = operation.data[start:end]


def change(entries: dict, names: dict):
    for name, inode in names.items():
        if inode is None:
            entries.pop(name, None)
        else:
            entries[name] = inode


class FileSystem:
    """Replays a trace. The folder that the data directory is in is its root, and durable."""

    def __init__(self):
        self.root = Directory()
        self._directories: dict[str, Directory] = {"": self.root}
        self._files: dict[int, File] = {}  # by inode; a number that is used again means the newest file

    def pending(self) -> list[Operation]:
        """The operations that a power loss may take back, in their order."""
        inodes = list(self._directories.values()) + list(set(self._files.values()))
        return sorted((each for inode in inodes for each in inode.pending), key=lambda each: each.number)

    def replay(self, number: int, entry: Entry):
        """One entry more."""
        match entry.kind:
            case Kind.CREATE:
                self._create(number, entry)
            case Kind.WRITE | Kind.TRUNCATE | Kind.ALLOCATE:
                file = self._files[entry.inode]
                data = entry.data if entry.kind is Kind.WRITE else None
                file.pending.append(Operation(number, file, entry.offset, data,
                                              is_growth=entry.kind is Kind.ALLOCATE))
            case Kind.SYNC | Kind.DATA_SYNC:
                self._sync(entry)
            case Kind.FAILED_SYNC:
                for operation in self._inode(entry).pending:
                    operation.is_doubtful = True
            case Kind.LINK:
                file = self._files[entry.inode]
                self._rename(number, {entry.path: file})
                if not file.is_counted and not any(each.is_count for each in file.pending):
                    file.pending.append(Operation(number, file, is_count=True))
            case Kind.RENAME:
                self._rename(number, {entry.path: None, entry.target: self._files[entry.inode]})
            case Kind.UNLINK:
                self._rename(number, {entry.path: None})
            case Kind.MKDIR:
                self._directories[entry.path] = Directory()
                self._rename(number, {entry.path: self._directories[entry.path]})

    def _create(self, number: int, entry: Entry):
        file = self._files[entry.inode] = File(is_counted=bool(entry.path))
        if entry.path:
            self._rename(number, {entry.path: file})

    def _inode(self, entry: Entry) -> File | Directory:
        return self._directories.get(entry.path) or self._files[entry.inode]

    def _sync(self, entry: Entry):
        inode = self._inode(entry)
        if isinstance(inode, Directory):
            inode.settle()
        else:
            inode.settle(with_count=entry.kind is Kind.SYNC)

    def _rename(self, number: int, paths: dict):
        """Changes names, of each directory by itself: between two of them, one name may go before the other comes."""
        for parent in {path.rpartition("/")[0] for path in paths}:
            directory = self._directories[parent]
            names = {path.rpartition("/")[2]: inode for path, inode in paths.items() if path.rpartition("/")[0] == parent}
            directory.pending.append(Operation(number, directory, names=names))
