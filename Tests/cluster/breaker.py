"""Kills and stops nodes while clients are at work, also while a statement of theirs is under way in the database."""

import math
import random
import threading
import time
from contextlib import nullcontext

from cluster import NODES, Cluster
from harness.connection import Door

KINDS = ("kill", "kill in a statement", "stop", "stop", "stop in a statement")
STOPPED = (0.5, 2.0)  # seconds
BETWEEN = (0.05, 0.5)  # seconds, from one node that is back to the next that goes
MOST_IDLE = 30  # nodes broken one after the other that had nothing to do
HELD = 0.15  # seconds for which statements are held up before the node goes


class Breaker:
    """Breaks one node after the other, until so many were broken whose uploads others had to go on with.

    To be run by the main thread: the nodes that it starts end with the thread that started them.
    """

    def __init__(self, cluster: Cluster, wanted: int, seed: int, losses: list[str]):
        """Ends early when there are `losses`."""
        self.done = 0  # nodes that were broken while they had something to do
        self.kills = self.stops = 0
        self.is_over = False
        self._cluster, self._wanted, self._losses = cluster, wanted, losses
        self._chance = random.Random(f"breaker {seed}")
        self._taken_over = 0
        self._back_at = -math.inf  # when the last node that was broken was back; infinity while one is not
        self._lock = threading.Lock()
        self._stopped: tuple[int, float] | None = None  # the node, and the time

    def door(self) -> tuple[Door, int | None]:
        """To the nodes that a balancer with an eye on their health would choose from, and the one that is left out. One
        that was killed refuses connections, which every balancer notices by itself."""
        stopped = self._stopped
        return (self._cluster.door, None) if stopped is None else (self._cluster.door_without(stopped[0]), stopped[0])

    def stopped_for(self, without: int | None) -> float:
        """Seconds since a node was stopped that may have a request for which this one was left out; 0 without one."""
        stopped = self._stopped
        return time.monotonic() - stopped[1] if stopped and stopped[0] != without else 0

    def taken_over(self, since: float):
        """A client went on through another node, with a request that it had made at this time. It counts when a node was
        broken meanwhile."""
        with self._lock:
            self._taken_over += since <= self._back_at

    def run(self):
        """Ends, too, when nobody is left who could go on with anything."""
        try:
            idle = 0
            while self.done < self._wanted and idle < MOST_IDLE and not self._losses:
                time.sleep(self._chance.uniform(*BETWEEN))
                before = self._taken_over
                self._break(self._chance.randrange(NODES), self._chance.choice(KINDS))
                idle = 0 if self._taken_over > before else idle + 1
                self.done += not idle
        finally:
            self.is_over = True

    def _break(self, number: int, kind: str):
        node = self._cluster.nodes[number]
        postgres = self._cluster.tools.postgres
        is_held = kind.endswith("statement")
        self._back_at = math.inf
        with postgres.holding(self._cluster.name, "uploads") if is_held else nullcontext():
            if is_held:
                time.sleep(HELD)
            if kind.startswith("kill"):
                node.kill()
            else:
                node.pause()
                self._stopped = (number, time.monotonic())
        if kind.startswith("kill"):
            self.kills += 1
            self._cluster.start(number)
        else:
            self.stops += 1
            time.sleep(self._chance.uniform(*STOPPED))
            node.go_on()
            self._stopped = None
        self._back_at = time.monotonic()
