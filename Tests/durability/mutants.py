"""The gate: the test of the other parts. The shim makes the server careless in one way at a time, and the part that is
there for it must notice."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import backups
import failed_sync
import io_errors
import kill
import workers
from control import ALWAYS, Action, Mutation
from io_errors import Fault
from journal import Kind, Place
from power_loss import explore
from recording import SCENARIOS, Tools, record

# Scenarios in which all of the careless ways show, and last one with a single client: what it is told comes before the
# server's next operation, however slow the client is, so that no answer that was too early hides behind others' work.
CHOSEN = tuple(scenario for name in ("several", "again", "stopped", "alone") for scenario in SCENARIOS
               if scenario.name == name)
STATES = 400  # in which a mutant must be caught, of each scenario
HONEST_STATES = 100  # of a server that is not careless: the part for power losses looks at more
KILLS = 60
BACKUP_STATES = 80
# Without these syncs, a backup is reported that is not on the disk.
BACKUP_SYNCS = (Mutation.NO_BLOB_DIRECTORY_SYNC, Mutation.NO_DATA_DIRECTORY_SYNC, Mutation.NO_DATABASE_SYNC)
# Between them, an upload has no name of its own any more and its row does not know of the blob's.
PUBLISHING = ((Kind.LINK, Place.BLOB), (Kind.RENAME, Place.BLOB), (Kind.SYNC, Place.BLOB_DIRECTORY))
# Calls whose errors a careless server ignores.
IGNORED = (
    (Kind.WRITE, Place.UPLOAD), (Kind.DATA_SYNC, Place.UPLOAD), (Kind.SYNC, Place.UPLOAD), (Kind.LINK, Place.UPLOAD),
    (Kind.SYNC, Place.UPLOADS), (Kind.LINK, Place.BLOB), (Kind.RENAME, Place.BLOB), (Kind.SYNC, Place.BLOB_DIRECTORY),
    (Kind.WRITE, Place.WAL), (Kind.DATA_SYNC, Place.WAL),
)


@dataclass(frozen=True)
class Catch:
    """The fate of one mutant."""

    name: str
    how: str  # empty when it was not caught

    def text(self) -> str:
        return f"  caught  {self.name}: {self.how[:160]}" if self.how else f"  MISSED  {self.name}"


def run(tools: Tools, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether all were caught, and the lines that say which."""
    started = time.monotonic()
    # The server that is not careless comes first, as it takes longest.
    hunts: list[tuple] = [(_lose_power, Mutation(0)), (_sync_again, Action.LOSE_SILENTLY)]
    hunts += [(_lose_power, mutation) for mutation in Mutation]
    hunts += [(_kill, Mutation.PUBLISH_BY_RENAME)] + [(_ignore_errors, call) for call in IGNORED]
    hunts += [(_lose_backup, mutation) for mutation in BACKUP_SYNCS]
    tasks = [(hunt, replace(tools, scratch=tools.scratch / f"mutant-{number}"), mutant, seed)
             for number, (hunt, mutant) in enumerate(hunts)]
    with workers.pool() as pool:
        honest, *catches = pool.imap(_hunt, tasks)
    caught = sum(bool(catch.how) for catch in catches)
    lines = [f"mutants: {caught} of {len(catches)} caught, {time.monotonic() - started:.0f} s"]
    if honest.how:
        lines.append(f"  no proof: a server that is not careless loses, too: {honest.how}")
    return caught == len(catches) and not honest.how, "\n".join(lines + [catch.text() for catch in catches])


def _hunt(task: tuple[Callable, Tools, object, int]) -> Catch:
    hunt, tools, mutant, seed = task
    tools.scratch.mkdir()
    return hunt(tools, mutant, seed)


def _name(mutant) -> str:
    return mutant.name.lower().replace("_", " ")


def _lose_power(tools: Tools, mutation: Mutation, seed: int) -> Catch:
    name, tried = f"power loss, {_name(mutation) if mutation else 'nothing left out'}", 0
    for scenario in CHOSEN if mutation else CHOSEN[:1]:
        trace = record(tools, scenario, f"{seed} mutant", mutation)
        findings = explore(tools, trace, 0, 1, STATES if mutation else HONEST_STATES, seed, losses=1)
        tried += findings.checks
        if findings.losses:
            loss = findings.losses[0]
            return Catch(name, f"in state {tried}, {scenario.name} {loss.state.text()}: {loss.sentences[0]}")
    return Catch(name, "")


def _kill(tools: Tools, mutation: Mutation, seed: int) -> Catch:
    is_good, lines = kill.run(tools, KILLS, seed, mutation, PUBLISHING)
    return Catch(f"kill, {_name(mutation)}", "" if is_good else lines.splitlines()[0])


def _lose_backup(tools: Tools, mutation: Mutation, seed: int) -> Catch:
    trace = backups.record(tools, f"{seed} mutant", mutation)
    _, losses = backups.explore(tools, trace, backups.chosen(trace, BACKUP_STATES, seed), losses=1)
    return Catch(f"backup, {_name(mutation)}", losses[0] if losses else "")


def _sync_again(tools: Tools, action: Action, seed: int) -> Catch:
    is_good, lines = failed_sync.run(tools, action)
    return Catch("failed sync, synced again and believed", "" if is_good else lines.splitlines()[0])


def _ignore_errors(tools: Tools, call: tuple[Kind, Place], seed: int) -> Catch:
    kind, place = call
    chosen = [Fault((kind,), (place,), Action.SWALLOW, 0, at, ALWAYS) for at in (1, 2, 3)]
    findings = io_errors.carry_out(tools, f"ignored-{seed}", chosen)
    return Catch(f"io errors, {kind.name} {place.name} ignored", findings.losses[0] if findings.losses else "")
