"""Two snapshots compared: every change of the registry and of each event's schema, with its verdict."""

from __future__ import annotations

from dovecote.contracts.compatibility.change import Change, Verdict
from dovecote.contracts.compatibility.entries import Readers, entry_changes
from dovecote.contracts.snapshot import Snapshot


def compare(old: Snapshot, new: Snapshot, readers: Readers) -> tuple[Change, ...]:
    """Every change from old to new, by event; ``readers`` are the Structs of today, by service."""
    changes = list(entry_changes(old, new, readers))
    for name in old.events:
        if name in new.events and old.schemas.get(name) != new.schemas.get(name):
            hearing = sorted(s for s, structs in readers.items() if name in {struct.EVENT for struct in structs})
            what, mend = "the schema differs; it cannot be shown compatible", "register a new version beside it"
            changes.append(Change(name, "", what, Verdict.BREAKS_BOTH, tuple(hearing), not hearing, None, mend))
    order = {name: at for at, name in enumerate({**old.events, **new.events})}
    return tuple(sorted(changes, key=lambda change: order[change.event]))
