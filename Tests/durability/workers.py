"""The processes that check states and runs side by side."""

import multiprocessing
import os
import signal
from multiprocessing.pool import Pool

COUNT = max(2, os.cpu_count() or 2)


def pool(count: int = COUNT) -> Pool:
    """Workers that end at SIGTERM, as the pool expects of them. They lack the handler that removes the run's folder: one that
    ran it in the middle of taking work would keep the pool's lock, and the others would wait for it for ever."""
    return multiprocessing.get_context("fork").Pool(count, signal.signal, (signal.SIGTERM, signal.SIG_DFL))
