"""Power loss: every state that the model allows is opened by the real server and held to the ledger."""

import json
import multiprocessing
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import journal
import workers
from filesystem import FileSystem
from harness.checker import check_folder
from harness.ledger import Ledger
from journal import Kind
from rebuild import clear, fingerprint, rebuild
from recording import LARGE, SCENARIOS, Scenario, Tools, is_crash_point, record
from states import STRATEGIES, State, survivors

TURNS = 12  # of which each has other states
TURNS_OF_TRACES = 3  # states that this many turns did not find are not in these traces: others are recorded
ROUNDS_WITHOUT_NEWS = 24  # after so many without a new state, a trace is taken for exhausted
LARGE_SHARE = 100  # one in so many states is of a trace with 40 MB


@dataclass
class Loss:
    trace: Path
    state: State
    sentences: list[str]
    promises: str

    def text(self) -> str:
        told = "\n".join(f"    {sentence}" for sentence in self.sentences[:6])
        return f"LOST  --trace {self.trace} --state {self.state.text()}\n{told}\n{self.promises}"


@dataclass
class Findings:
    """The states that were looked at, and the losses."""

    prints: set[bytes] = field(default_factory=set)
    checks: int = 0
    losses: list[Loss] = field(default_factory=list)

    def add(self, other: "Findings"):
        self.prints |= other.prints
        self.checks += other.checks
        self.losses += other.losses


class Explorer:
    """Walks along one trace and checks states that were not checked before."""

    def __init__(self, tools: Tools, trace: Path):
        self._tools = tools
        self._trace = trace
        self._entries = journal.read(trace)
        self._seen: set[bytes] = set()
        self.findings = Findings()

    def points(self) -> list[int]:
        return [point for point in range(len(self._entries) + 1) if is_crash_point(self._entries, point)]

    def walk(self, states: dict[int, list[State]], quota: int = 1 << 62, losses: int = 1 << 62):
        """Checks the states of each point, by point, until there are as many distinct ones or losses as asked for."""
        system, ledger = FileSystem(), Ledger()
        for number in range(len(self._entries) + 1):
            for state in states.get(number, ()):
                self._look(system, ledger, state)
                if len(self.findings.prints) >= quota or len(self.findings.losses) >= losses:
                    return
            if number < len(self._entries):
                entry = self._entries[number]
                if entry.kind is Kind.MARK:
                    ledger.take(json.loads(entry.data))
                system.replay(number, entry)

    def _look(self, system: FileSystem, ledger: Ledger, state: State):
        pending = system.pending()
        if not pending and state.strategy != "none":
            return
        kept = survivors(state, pending)
        print_ = fingerprint(system, kept)
        case = print_ + ledger.fingerprint()
        if case in self._seen:
            return
        self._seen.add(case)
        folder = self._tools.scratch / f"state-{multiprocessing.current_process().pid}"
        log = folder.with_suffix(".log")
        try:
            rebuild(system, kept, folder)
            sentences = check_folder(self._tools.blobd, folder / "data", log, ledger)
        finally:
            clear(folder)
        self.findings.prints.add(print_)
        self.findings.checks += 1
        if sentences:
            names = dict.fromkeys(sentence.partition(":")[0] for sentence in sentences)
            self.findings.losses.append(Loss(self._trace, state, sentences, ledger.text(names)))


def explore(tools: Tools, trace: Path, part: int, parts: int, quota: int, seed: int, losses: int = 20) -> Findings:
    """Looks at `quota` distinct states of one part of a trace's crash points."""
    explorer = Explorer(tools, trace)
    points = explorer.points()
    points = points[len(points) * part // parts:len(points) * (part + 1) // parts]
    chance = random.Random(f"{seed} {trace.name} {part}")
    news = round_ = 0
    while len(explorer.findings.prints) < quota and news < ROUNDS_WITHOUT_NEWS:
        before = len(explorer.findings.prints)
        # Each point meets each strategy in turn; where the quota is small, a sample of the points does.
        chosen = sorted(chance.sample(points, min(len(points), quota - before)))
        states = {point: [State(point, STRATEGIES[(point + round_) % len(STRATEGIES)], seed * 1_000_003 + round_)]
                  for point in chosen}
        explorer.walk(states, quota, losses)
        if len(explorer.findings.losses) >= losses:
            break
        round_ += 1
        news = 0 if len(explorer.findings.prints) > before else news + 1
    return explorer.findings


def _explore(arguments: tuple) -> Findings:
    return explore(*arguments)


def _record(task: tuple[Tools, Scenario, int, int]) -> Path:
    tools, scenario, number, seed = task
    return record(tools, scenario, f"{seed} {number}", number=number)


def scenarios(states: int, first: int) -> list[tuple[Scenario, int]]:
    """Which traces are recorded for so many states: each scenario once, and more of them with other work for more states.
    They are numbered from `first` on. The large one is first, because its states take longest."""
    numbers = range(first, first + max(1, states // 8000))
    return [(LARGE, first)] + [(scenario, number) for number in numbers for scenario in SCENARIOS]


def _tasks(tools: Tools, trace: Path, states: int, traces: int, seed: int) -> list[tuple]:
    """One trace's share, in pieces that one worker takes at a time."""
    if trace.stem.startswith(LARGE.name):
        return [(tools, trace, 0, 1, -(-states // LARGE_SHARE), seed)]
    parts = 4
    return [(tools, trace, part, parts, -(-states // (traces * parts)), seed) for part in range(parts)]


def run(tools: Tools, states: int, seed: int, kept: Path) -> tuple[bool, str]:
    """The part of the test. Returns whether nothing was lost, and the lines that say so. Traces in which something was
    lost are kept in a folder."""
    started = time.monotonic()
    findings = Findings()
    recordings, traces = 0, []
    with workers.pool() as pool:
        # The parts of a trace in which little happens have fewer states than their share: others make up for it.
        for turn in range(TURNS):
            missing = states - len(findings.prints)
            if missing <= 0 or findings.losses:
                break
            if turn % TURNS_OF_TRACES == 0:
                for trace in traces:
                    trace.unlink()
                chosen = scenarios(missing, recordings)
                traces = pool.map(_record, [(tools, scenario, number, seed) for scenario, number in chosen], 1)
                recordings += len(traces)
            tasks = [task for trace in traces for task in _tasks(tools, trace, missing, len(traces) - 1, seed + turn)]
            for found in pool.imap_unordered(_explore, tasks):
                findings.add(found)
    lines = []
    # Once for each sentence: a loss in one state is a loss in many.
    different = {(loss.trace, loss.sentences[0]): loss for loss in findings.losses}
    for loss in list(different.values())[:10]:
        kept.mkdir(parents=True, exist_ok=True)
        loss.trace = Path(shutil.copy(loss.trace, kept / f"{loss.trace.stem}-seed-{seed}.trace"))
        lines.append(loss.text())
    if len(findings.prints) < states and not findings.losses:
        lines.append(f"MISSED  {states:,} distinct states were asked for, and there are fewer in {TURNS} turns")
    lines.append(f"power-loss: {len(findings.prints):,} distinct states of {recordings} traces, "
                 f"{findings.checks:,} checks, {len(findings.losses)} lost, {time.monotonic() - started:.0f} s")
    return not findings.losses and len(findings.prints) >= states, "\n".join(lines)


def reproduce(tools: Tools, trace: Path, state: State) -> list[str]:
    """Checks one state of a trace that was kept, and returns the losses."""
    explorer = Explorer(tools, trace)
    explorer.walk({state.point: [state]})
    return [loss.text() for loss in explorer.findings.losses]
