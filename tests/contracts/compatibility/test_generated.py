"""Random edits of the shop's own schemas: instances alone say what is right, and the checker says the same."""

from __future__ import annotations

from collections import Counter

import pytest

from dovecote.contracts.compatibility import schema_changes
from dovecote.contracts.snapshot import Snapshot
from ecom.contracts import CONTRACTS
from tests.contracts.compatibility.corpus import confirm, sides, together, truth
from tests.contracts.compatibility.generated import edited

SCHEMAS = Snapshot.of_folder(CONTRACTS).schemas
EVENTS = sorted(SCHEMAS)
EDITS = 45


@pytest.mark.parametrize("seed", range(EDITS))
def test_a_random_edit_is_judged_as_its_instances_judge_it(seed: int, tally: Counter[str]) -> None:
    """What instances show, the checker says; what the checker says, its witness shows to both validators."""
    event = EVENTS[seed % len(EVENTS)]
    new, done = edited(dict(SCHEMAS[event]), seed)
    changes = schema_changes(event, SCHEMAS[event], new)
    found, said = truth(SCHEMAS[event], new, seed), together(changes)
    tally["generated edits"] += 1
    tally["misses"] += bool(sides(found) - sides(said))
    tally["false alarms"] += any(change.verdict.breaking and change.witness is None for change in changes)
    assert sides(found) <= sides(said), (event, done, changes)
    for change in changes:
        confirm(change, SCHEMAS[event], new)


def test_the_dice_fall_on_every_side() -> None:
    """Among the generated edits are compatible ones, and ones that break readers, writers and both."""
    seen = set()
    for seed in range(EDITS):
        event = EVENTS[seed % len(EVENTS)]
        seen.add(together(schema_changes(event, SCHEMAS[event], edited(dict(SCHEMAS[event]), seed)[0])))
    assert len(seen) == 4
