"""The gate: what the parts are worth. Each is run against a server that the shim makes careless, and must notice."""

import multiprocessing
import random
import time

import journal
import power_loss
from control import Mutation
from recording import SCENARIOS, Scenario, Tools, record
from states import State

# The scenarios in which all of the careless ways show, and how many states each may take to show it.
CHOSEN = tuple(scenario for scenario in SCENARIOS if scenario.name in ("several", "killed", "again"))
STATES = 400
POINTS_FIRST = 40  # for a first round with nothing that was not synced: where most mistakes show


def run(tools: Tools, seed: int) -> tuple[bool, list[str]]:
    """The part of the test. Returns whether all were caught, and lines that say which."""
    lines, is_good = [], True
    started = time.monotonic()
    with multiprocessing.get_context("fork").Pool(power_loss.WORKERS) as pool:
        tasks = [(tools, mutation, seed) for mutation in Mutation]
        for mutation, scenario, findings in pool.imap(_hunt, tasks):
            name = mutation.name.lower().replace("_", " ")
            if findings.losses:
                loss = findings.losses[0]
                lines.append(f"  caught after {findings.checks:3} states: {name} "
                             f"({scenario}, {loss.state.text()}: {loss.sentences[0][:90]})")
            else:
                lines.append(f"  MISSED in {findings.checks} states: {name}")
                is_good = False
    caught = sum("caught" in line for line in lines)
    return is_good, [f"mutants: {caught} of {len(lines)} caught, {time.monotonic() - started:.0f} s", *lines]
