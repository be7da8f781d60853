"""The gate: what the other parts are worth. The shim makes the server careless in one way at a time, and the part that is
there for it must notice."""

import multiprocessing
import time
from dataclasses import dataclass, replace

from control import Mutation
from power_loss import WORKERS, explore
from recording import SCENARIOS, Tools, record

# Scenarios in which all of the careless ways show.
CHOSEN = tuple(scenario for scenario in SCENARIOS if scenario.name in ("several", "again", "stopped"))
STATES = 400  # in which a mutant must be caught, of each scenario


@dataclass(frozen=True)
class Catch:
    """What became of one mutant."""

    name: str
    how: str  # empty when it was not caught
    tried: int

    def text(self) -> str:
        return f"  caught in state {self.tried:3}: {self.name}; {self.how}" if self.how else \
            f"  MISSED in {self.tried} states: {self.name}"


def run(tools: Tools, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether all were caught, and the lines that say which."""
    started = time.monotonic()
    tasks = [(tools, mutation, seed) for mutation in Mutation]
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        catches = list(pool.imap(_hunt, tasks))
    caught = sum(bool(catch.how) for catch in catches)
    lines = [f"mutants: {caught} of {len(catches)} caught, {time.monotonic() - started:.0f} s"]
    return caught == len(catches), "\n".join(lines + [catch.text() for catch in catches])


def _hunt(task: tuple[Tools, Mutation, int]) -> Catch:
    """Looks for a loss of one mutant."""
    tools, mutation, seed = task
    name = mutation.name.lower().replace("_", " ")
    tools = replace(tools, scratch=tools.scratch / mutation.name.lower())
    tools.scratch.mkdir()
    tried = 0
    for scenario in CHOSEN:
        trace = record(tools, scenario, f"{seed} mutant", mutation)
        findings = explore(tools, trace, 0, 1, STATES, seed, losses=1)
        tried += findings.checks
        if findings.losses:
            loss = findings.losses[0]
            return Catch(name, f"{scenario.name} {loss.state.text()}: {loss.sentences[0][:100]}", tried)
    return Catch(name, "", tried)
