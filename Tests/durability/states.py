"""The states that a power loss at one moment may leave: which of the unsynced operations survive, and which in part."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from filesystem import Directory, File, FileSystem, Operation

STRATEGIES = ("all", "none", "prefix", "drop-one", "only-one", "torn-512", "torn-4096", "subset")


@dataclass(frozen=True, order=True)
class State:
    """Names a state: the power goes before entry `point` of the trace. Everything else follows from it."""

    point: int
    strategy: str
    seed: int

    def text(self) -> str:
        return f"{self.point}:{self.strategy}:{self.seed}"

    @staticmethod
    def parse(text: str) -> "State":
        point, strategy, seed = text.split(":")
        if strategy not in STRATEGIES:
            raise ValueError(f"{strategy} is none of {', '.join(STRATEGIES)}")
        return State(int(point), strategy, int(seed))


def survivors(state: State, pending: list[Operation]) -> dict[Operation, tuple | None]:
    """The operations that survive, each with the ranges of its bytes that do; None: all of them."""
    chance = random.Random(f"{state.point} {state.strategy} {state.seed}")
    whole = dict.fromkeys(pending)
    match state.strategy:
        case "all":
            return whole
        case "none":
            return {}
        case "prefix":
            return dict.fromkeys(pending[:chance.randrange(len(pending) + 1)])
        case "drop-one":
            del whole[chance.choice(pending)]
            return whole
        case "only-one":
            return {chance.choice(pending): None}
        case "torn-512":
            return _torn(pending, 512, chance)
        case "torn-4096":
            return _torn(pending, 4096, chance)
        case "subset":
            share = chance.random()
            return {each: None for each in pending if chance.random() < share}
    raise ValueError(state.strategy)


def _torn(pending: list[Operation], unit: int, chance: random.Random) -> dict[Operation, tuple | None]:
    """One write survives in part: its beginning, its end, or any units of it. What came after it survives or not."""
    writes = [each for each in pending if each.data is not None]
    if not writes:
        return {each: None for each in pending if chance.random() < 0.5}
    torn = chance.choice(writes)
    kept = {each: None for each in pending if each.number < torn.number or chance.random() < 0.5}
    units = list(_units(torn, unit))
    cut = chance.randrange(len(units) + 1)
    match chance.randrange(3):
        case 0:
            units = units[:cut]
        case 1:
            units = units[cut:]
        case 2:
            units = [each for each in units if chance.random() < 0.5]
    kept.pop(torn, None)
    if units:
        kept[torn] = tuple(units)
    # A file's operations take effect in their order, so that survivors are asked for in it.
    return {each: kept[each] for each in pending if each in kept}


def _units(write: Operation, unit: int) -> Iterator[tuple[int, int]]:
    """The ranges of a write's bytes, divided where the units of the disk end."""
    start = 0
    while start < len(write.data):
        end = min(len(write.data), (write.offset + start) // unit * unit + unit - write.offset)
        yield start, end
        start = end


def tree(system: FileSystem, kept: dict) -> Iterator[tuple[str, File | Directory]]:
    """Every path that is there after the power loss, a directory before its contents."""
    waiting = [("", system.root)]
    while waiting:
        path, directory = waiting.pop()
        for name, inode in sorted(directory.entries_with(kept).items()):
            if isinstance(inode, Directory):
                yield f"{path}/{name}", inode
                waiting.append((f"{path}/{name}", inode))
            elif inode.exists_with(kept):
                yield f"{path}/{name}", inode
