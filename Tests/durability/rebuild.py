"""Writes a state into a folder, where a server can be started on it."""

import hashlib
import os
from pathlib import Path

from filesystem import Directory, FileSystem
from states import tree


def fingerprint(system: FileSystem, kept: dict) -> bytes:
    """Equal for two states that a server cannot tell apart."""
    sum_ = hashlib.blake2b(digest_size=16)
    linked: dict[int, int] = {}
    for path, inode in tree(system, kept):
        sum_.update(path.encode() + b"\0")
        if not isinstance(inode, Directory):
            # Which names lead to the same file, too: the server looks at the number of names.
            sum_.update(linked.setdefault(id(inode), len(linked)).to_bytes(4, "big") + inode.digest_with(kept))
    return sum_.digest()


def rebuild(system: FileSystem, kept: dict, folder: Path):
    """Makes the files and directories in a new folder."""
    folder.mkdir()
    made: dict[int, str] = {}
    for path, inode in tree(system, kept):
        place = f"{folder}{path}"
        if isinstance(inode, Directory):
            os.mkdir(place, 0o700)
        elif id(inode) in made:
            os.link(made[id(inode)], place)
        else:
            with open(place, "wb", opener=_private) as file:
                file.write(inode.bytes_with(kept))
            made[id(inode)] = place


def clear(folder: Path | str):
    """Removes a folder that nobody else changes. Most of the hundreds of directories in it are empty, and go without a
    look at their contents."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            try:
                os.rmdir(entry.path)
            except OSError:
                clear(entry.path)
    os.rmdir(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
