"""The plans of the statements that a node really sent, and of those inside the functions that they called.

PostgreSQL's own auto_explain writes them down. So no statement has to be repeated here, and the plans are those that ran:
with its parameters, by prepared statements and from within PL/pgSQL, whose plans may be others than those of EXPLAIN.
"""

import contextlib
import re
from pathlib import Path

from harness.engines import Postgres

SETTINGS = {
    "session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0", "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on", "auto_explain.log_nested_statements": "on", "log_line_prefix": "",
}
# A record's further lines begin with a tab.
RECORD = re.compile(r"^LOG:  duration: ([\d.]+) ms  plan:\n((?:\t.*\n)+)", re.MULTILINE)


class Plans:
    """Of each statement the newest plan, and how often it ran."""

    def __init__(self, log: Path):
        self._log = log
        self._start = log.stat().st_size

    def text(self) -> str:
        newest: dict[str, tuple[int, str, str]] = {}
        with self._log.open(errors="replace") as log:
            log.seek(self._start)
            for duration, lines in RECORD.findall(log.read()):
                statement, plan = _split(lines.replace("\n\t", "\n").strip())
                count = newest.get(statement, (0,))[0] + 1
                newest[statement] = (count, duration, plan)
        return "\n".join(f"-- {count} times, the last in {duration} ms\n{statement}\n\n{plan}\n"
                         for statement, (count, duration, plan) in newest.items())


def _split(record: str) -> tuple[str, str]:
    """A statement and its plan, which begins at the first line that tells a cost."""
    lines = record.removeprefix("Query Text: ").split("\n")
    first = next((number for number, line in enumerate(lines) if "(cost=" in line), len(lines))
    return "\n".join(lines[:first]), "\n".join(lines[first:])


@contextlib.contextmanager
def recorded_plans(postgres: Postgres):
    """Records plans while the block lasts; they can be read after it."""
    postgres.set(SETTINGS)
    plans = Plans(postgres.log)
    try:
        yield plans
    finally:
        postgres.set(dict.fromkeys(SETTINGS))
