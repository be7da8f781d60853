"""Records traces: a server from its first start on, clients at work, and now and then a kill and another start."""

import random
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from control import STEPS, WRITE_PATH, Action, Control, Environment, Mutation
from harness import workload
from harness.blobd import Server
from harness.checker import PRIVATE, SETTINGS
from journal import Kind, Marks, Place


@dataclass(frozen=True)
class Tools:
    """The tools of every part: the program under test, the shim, and a folder for temporary files."""

    blobd: Path
    library: Path
    scratch: Path


@dataclass(frozen=True)
class Scenario:
    """The events of a trace."""

    name: str
    uploads: int
    kills: int = 0
    large: int = 0
    clients: int = 4
    reclaims: bool = False
    stops: bool = False
    step: tuple | None = None  # where the kills fall, if not anywhere
    whole: bool = False  # each upload in one request, so that its file has no name before its blob's
    private: bool = False  # downloads are, and blobs are published by renames


SCENARIOS = (
    Scenario("alone", 6, clients=1),
    Scenario("several", 10),
    Scenario("crowd", 14, clients=8, private=True),
    Scenario("killed", 9, kills=2),
    Scenario("killed often", 12, kills=5, clients=6, private=True),
    Scenario("stopped", 8, stops=True),
    Scenario("reclaimed", 10, reclaims=True),
    Scenario("again", 8, kills=1, clients=2, stops=True, private=True),
    Scenario("killed publishing", 6, kills=4, clients=2, step=(Kind.LINK, Place.BLOB), whole=True),
    Scenario("killed renaming", 6, kills=4, clients=2, step=(Kind.RENAME, Place.BLOB), whole=True, private=True),
)
LARGE = Scenario("large", 4, large=1, clients=2)


def record(tools: Tools, scenario: Scenario, seed: str, mutations: Mutation = Mutation(0), number: int = 0) -> Path:
    """Carries out a scenario and returns its trace, which is named after the scenario and the number."""
    label = f"{scenario.name.replace(' ', '-')}-{number}"
    folder = tools.scratch / f"recording-{label}"
    (folder / "root").mkdir(parents=True)
    trace = tools.scratch / f"{label}.trace"
    trace.unlink(missing_ok=True)
    marks = Marks(trace)
    control = Control(folder / "control", mutations)
    try:
        _carry_out(tools, scenario, seed, folder, trace, marks, control)
    finally:
        control.close()
        marks.close()
        shutil.rmtree(folder)
    return trace


def _carry_out(tools: Tools, scenario: Scenario, seed: str, folder: Path, trace: Path, marks: Marks, control: Control):
    chance = random.Random(f"{scenario.name} {seed}")
    environment = Environment(tools.library, folder / "root", control.path, trace)
    settings = SETTINGS + (PRIVATE if scenario.private else ())
    work = workload.plans(scenario.name.replace(" ", "-"), scenario.uploads, seed, scenario.large)
    if scenario.whole:
        work = [replace(plan, cuts=(), ends_in_complete=True, fate="complete") for plan in work]
    promises = {}

    def note(name: str, event: str, value):
        marks.add(name=name, event=event, value=value)

    for life in range(scenario.kills + 1 + scenario.stops):
        server = Server(tools.blobd, folder / "root/data", folder / "log", environment.variables(), settings)
        try:
            if life < scenario.kills:
                _arm(control, scenario, chance)
            promises = workload.run(server, work, note, scenario.clients, promises)
            if scenario.reclaims:
                workload.wait_for_reclaimer()
            if life < scenario.kills and not server.has_ended:
                server.wait(1.5)  # the reclaimer's next round, or the work after an answer, is killed then
        finally:
            control.disarm()
            if life == scenario.kills and scenario.stops:
                server.stop()
                # The work of a second life, on rows and bytes that a clean stop has put into the database.
                work = work + workload.renamed(work[:3], "-again")
            else:
                server.kill()


def _arm(control: Control, scenario: Scenario, chance: random.Random):
    """Kills at any call, or at the first ones of a step. By the shim, so that the last operation is in the trace."""
    if not scenario.step and chance.random() < 0.5:
        control.arm(Action.KILL_AFTER, kinds=WRITE_PATH, at=chance.randrange(5, 60))
    else:
        kind, place = scenario.step or chance.choice(STEPS)
        control.arm(Action.KILL_AFTER, kinds=(kind,), places=(place,), at=1 if scenario.step else chance.randrange(1, 6))


def is_crash_point(entries: list, point: int) -> bool:
    """Whether a power loss before this entry may leave states that the points beside it do not: not between two marks, nor
    within the first start's 256 directories, but for some."""
    if point == len(entries):
        return True
    entry = entries[point]
    if entry.kind is Kind.MARK:
        return False
    return entry.kind is not Kind.MKDIR or point % 16 == 0
