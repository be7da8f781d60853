"""The answers to clients, and their requests that got no answer: the promises that must outlast a crash."""

import functools
import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@functools.lru_cache(maxsize=64)
def content(key: str, size: int) -> bytes:
    """The bytes that a client uploads: the same for the same key."""
    return random.Random(key).randbytes(size)


@functools.lru_cache(maxsize=1 << 16)
def digest(key: str, size: int) -> str:
    return hashlib.sha256(content(key, size)).hexdigest()


@dataclass(slots=True)
class Promise:
    """One upload, as its client knows it. A request without an answer may have taken effect; one with an answer must have."""

    name: str
    key: str
    size: int
    id: str = ""
    token: str = ""
    sent: int = 0  # bytes that the server may have
    told: int = 0  # bytes that it said are safe
    completing: bool = False
    file: str = ""  # the id of the file that it became, as told
    destroying: bool = False
    destroyed: bool = False
    deleting: bool = False  # the file
    deleted: bool = False
    refused: bool = False  # the disk failed in a request: acknowledged bytes may have been given up, as later answers say
    failed: bool = False  # told that it was given up: 410

    @property
    def content(self) -> bytes:
        return content(self.key, self.size)

    @property
    def digest(self) -> str:
        return digest(self.key, self.size)

    def note(self, event: str, value):
        """Takes in one mark."""
        match event:
            case "started":
                self.id, self.token = value
            case "sending":
                self.sent = max(self.sent, value)
            case "told":
                self.told = max(self.told, value)
            case "completed":
                self.file = value
                self.told = self.size
            case "settling":  # somebody else went on with it
                self.completing = self.destroying = self.refused = True
                self.sent = self.size
            case "completing" | "destroying" | "destroyed" | "deleting" | "deleted" | "refused" | "failed":
                setattr(self, event, True)
            case _:
                raise ValueError(event)


class Ledger:
    """All promises by the upload's name."""

    def __init__(self):
        self.promises: dict[str, Promise] = {}

    def take(self, mark: dict):
        """Takes in one mark of a client's."""
        name = mark["name"]
        if mark["event"] == "pause":
            return
        if mark["event"] == "starting":
            self.promises[name] = Promise(name, *mark["value"])
        else:
            self.promises[name].note(mark["event"], mark["value"])

    def given(self) -> list[Promise]:
        """Those whose upload has an id that its client knows: the others bind nobody."""
        return [promise for promise in self.promises.values() if promise.id]

    def fingerprint(self) -> bytes:
        text = json.dumps([asdict(promise) for promise in self.given()])
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def text(self, names: Iterable[str]) -> str:
        """For people."""
        return "\n".join(f"    {self.promises[name]}" for name in names if name in self.promises)
