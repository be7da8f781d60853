"""The parts of the test themselves, on nodes whose database takes less care than it should: every carelessness has to be
found."""

import time

import failover
import reclaim
from cluster import Tools

FAILOVERS = 50  # at most: it ends with the first loss
SECONDS = 6.0
# A function is made anew from its own text; where nothing is left out, this test has fallen behind. Those for older
# nodes call the others.
EDIT = """
    DO $$ DECLARE v_old TEXT; v_new TEXT; BEGIN
        FOR v_old IN SELECT pg_get_functiondef(oid) FROM pg_proc
                WHERE proname IN ({names}) AND prosrc !~ 'FROM (advance|complete)_upload' LOOP
            v_new := regexp_replace(v_old, '{pattern}', '{replacement}', 'g');
            IF v_new = v_old THEN RAISE EXCEPTION 'nothing to leave out of %', v_old; END IF;
            EXECUTE v_new;
        END LOOP;
    END $$
"""
OVERTAKEN_WRITERS = EDIT.format(names="'advance_upload', 'complete_upload'", replacement="",
                                pattern=r"epoch = p_epoch AND byte_offset = p_offset AND")
NEEDED_OBJECTS = EDIT.format(names="'is_needed'", replacement="false AND EXISTS (", pattern=r"EXISTS \(")


def run(tools: Tools, seed: int) -> tuple[bool, str]:
    """The part of the test. Returns whether all were found, and the line that says so."""
    began = time.monotonic()
    outcomes = {
        "writers that were overtaken go on": failover.run(tools, FAILOVERS, seed, "mutant-writers", OVERTAKEN_WRITERS),
        "objects that are needed are deleted": reclaim.run(tools, SECONDS, seed, "mutant-sweep", NEEDED_OBJECTS),
    }
    missed = [f"MISSED  {name}: {lines}" for name, (is_good, lines) in outcomes.items() if is_good or "LOST" not in lines]
    return not missed, "\n".join([
        *missed, f"mutants: {len(outcomes) - len(missed)} of {len(outcomes)} found, {time.monotonic() - began:.0f} s"])
