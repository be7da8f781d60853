"""From samples to a markdown table."""

from dataclasses import dataclass, field
from statistics import median

from .load import Sample

GIB = 1 << 30
HEADER = ("work", "server", "cost", "throughput", "blobd against it", "reach", "")
# Work and verdict are words, the rest is figures.
ALIGNMENT = ("---", "---", "--:", "--:", "--:", "--:", "---")


@dataclass(frozen=True)
class Row:
    """One line of the table, every cell ready to print."""

    work: str
    server: str
    cost: str
    throughput: str = ""
    ratio: str = ""
    reach: str = ""
    verdict: str = ""

    def line(self) -> str:
        cells = (self.work, self.server, self.cost, self.throughput, self.ratio, self.reach, self.verdict)
        return "| " + " | ".join(cells) + " |"


@dataclass(frozen=True)
class Goal:
    """The goal of the server under test against a peer."""

    peer: str
    limit: float
    aim: float | None = None  # A further mark, worth having.
    by_rate: bool = False  # Jobs per second, at least; otherwise CPU, at most.

    def text(self) -> str:
        sign = "≥" if self.by_rate else "≤"
        aim = f", then {sign}{self.aim:g}×" if self.aim else ""
        return f"{sign}{self.limit:g}×{aim}"

    def verdict(self, ratio: float) -> str:
        return verdict(ratio, self.limit, at_least=self.by_rate)


def verdict(value: float, limit: float, at_least: bool = False) -> str:
    """`ok`, or how far off the goal it is."""
    factor = limit / value if at_least else value / limit
    return "ok" if factor <= 1 else f"**missed by {number(factor)}×**"


@dataclass
class Case:
    """One work, done by several servers in turn; `subject` is the one that is compared with the others."""

    name: str
    subject: str
    per_gib: bool  # Costs are told per GiB; otherwise per job.
    job: str = "request"
    goals: list[Goal] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def add(self, server: str, sample: Sample):
        self.samples.setdefault(server, []).append(sample)

    def order(self, servers: list[str]):
        """Lists the servers in this order, whatever the order in which they took turns."""
        self.samples = {server: self.samples[server] for server in servers}

    def costs(self, server: str) -> list[float]:
        """CPU seconds per GiB, or CPU microseconds per job."""
        if self.per_gib:
            return [sample.cpu / (sample.bytes / GIB) for sample in self.samples[server]]
        return [sample.cpu / sample.jobs * 1e6 for sample in self.samples[server]]

    def rates(self, server: str) -> list[float]:
        """GiB per second, or jobs per second."""
        return [(sample.bytes / GIB if self.per_gib else sample.jobs) / sample.seconds
                for sample in self.samples[server]]

    def rows(self) -> list[Row]:
        return [self._row(server, first=index == 0) for index, server in enumerate(self.samples)]

    def _row(self, server: str, first: bool) -> Row:
        costs = self.costs(server)
        cost = f"{number(median(costs))} {'s/GiB' if self.per_gib else 'µs'}"
        if len(costs) > 1:
            cost += f" ({number(min(costs))}–{number(max(costs))})"
        rate = f"{number(median(self.rates(server)))} {'GiB' if self.per_gib else self.job + 's'}/s"
        ratio, reach, judged = self._comparison(server)
        return Row(self.name if first else "", server, cost, rate, ratio, reach, judged)

    def _comparison(self, server: str) -> tuple[str, str, str]:
        goal = next((goal for goal in self.goals if goal.peer == server), None)
        if server == self.subject:
            return "", "", ""
        reach = goal.text() if goal else ""
        if self.subject not in self.samples:
            return "", reach, "not measured" if goal else ""
        by_rate = goal is not None and goal.by_rate
        figures = self.rates if by_rate else self.costs
        ratio = median(figures(self.subject)) / median(figures(server))
        judged = goal.verdict(ratio) if goal else ""
        if goal and goal.aim and judged == "ok":
            judged = "ok, both" if ratio <= goal.aim else "ok, the first"
        return f"{number(ratio)}× {'the rate' if by_rate else 'the CPU'}", reach, judged


def size_text(size: int) -> str:
    """A size in bytes, as people write it."""
    for unit, name in ((GIB, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def number(value: float) -> str:
    """Three significant digits, thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if value >= 1e-3 else f"{value:.3g}"


def table(rows: list[Row]) -> str:
    """The markdown table."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "|".join(ALIGNMENT) + "|"]
    return "\n".join(lines + [row.line() for row in rows]) + "\n"
