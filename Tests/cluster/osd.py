"""One of three disks of the S3 store dies while clients are at work, and comes back."""

import time

from audit import Audit
from cluster import Cluster, Tools
from crowd import Crowd, Readers, Record, plans
from harness.engines import Ceph

BEFORE, WITHOUT, AFTER = 2.0, 8.0, 3.0  # seconds
VICTIM = 1


def run(tools: Tools, rounds: int, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether no client noticed more than a pause, and the line that says so."""
    began = time.monotonic()
    ceph = Ceph(tools.scratch / "ceph-3", osds=3)
    with Cluster(tools, "osd", ceph=ceph) as cluster:
        record = Record()
        crowd = Crowd(cluster.door, record, plans("osd", 100_000, seed))
        readers = Readers(cluster.door, crowd, str(seed))
        for number in range(rounds):
            time.sleep(BEFORE)
            ceph.kill_osd((VICTIM + number) % 3)
            time.sleep(WITHOUT)
            ceph.start_osd((VICTIM + number) % 3)
            ceph.wait_for_osds(3)
            time.sleep(AFTER)
        crowd.stop()
        crowd.finish(60)
        readers.stop()
        audit = Audit(cluster).check(crowd.ledger)
        audit.delete_everything()
        audit.expect_empty_soon()
        losses = cluster.found(audit.losses, record.wrong)
        errors = record.unanswered + record.answers[503]
        cluster.is_good = not losses and not errors and not audit.strays
    return cluster.is_good, "\n".join([
        *losses,
        f"osd: {rounds} of 3 OSDs killed and brought back; {len(crowd.promises):,} uploads, {readers.downloads:,} "
        f"downloads, {errors} errors, longest pause {record.longest_silence:.1f} s, {audit.strays} objects without a row; "
        f"{len(losses)} wrong or lost, {time.monotonic() - began:.0f} s"])
