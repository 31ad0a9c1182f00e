"""Changes of the registry: events that came, went or were renamed, and who writes and hears them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dovecote.contracts.compatibility.change import Change, Verdict
from dovecote.contracts.compatibility.consumers import Readers
from dovecote.contracts.snapshot import Snapshot


def entry_changes(old: Snapshot, new: Snapshot, readers: Readers) -> Iterator[Change]:
    """What the registry says otherwise; an event that went while one of the same schema came was renamed."""
    gone = [name for name in old.events if name not in new.events]
    come = [name for name in new.events if name not in old.events]
    for name in gone:
        heir = next((other for other in come if _same(old, name, new, other)), None)
        hearing = _hearing(name, old, readers) | (_hearing(heir, new, readers) if heir else set())
        if heir:
            come.remove(heir)
            what = f"renamed to {heir}: who hears {name} hears nothing more, and what is in its topic stays unread"
            mend = f"publish {heir} beside {name}, and drop {name} a release after every reader has moved"
        else:
            what = "the event is gone: who hears it waits for ever, and what is in its topic stays unread"
            mend = "keep it registered and published until a release after its last reader has moved"
        yield Change(name, "", what, Verdict.BREAKS_BOTH, tuple(sorted(hearing)), not hearing, None, mend)
    for name in come:
        yield Change(name, "", "a new event", Verdict.COMPATIBLE)
    for name in old.events:
        if name in new.events:
            yield from _entry(name, old.events[name], new.events[name], readers)


def _entry(name: str, old: Mapping[str, Any], new: Mapping[str, Any], readers: Readers) -> Iterator[Change]:
    """What one registered event says otherwise about itself."""
    listening = {service for service, structs in readers.items() if name in {struct.EVENT for struct in structs}}
    if old.get("producer") != new.get("producer"):
        what = f"the producer was {old.get('producer')} and is {new.get('producer')}: the old one may write it no more"
        mend = "let the new producer write an event of its own name beside this one until the old one has stopped"
        yield Change(name, "", what, Verdict.BREAKS_WRITERS, (), not listening, None, mend)
    if old.get("schema_version") != new.get("schema_version"):
        versions = f"schema_version was {old.get('schema_version')} and is {new.get('schema_version')}"
        mend = "keep the version and register a new event type, whose name ends in the new version"
        hearing = tuple(sorted(listening))
        what = f"{versions}: every event carries it, and one name has one version"
        yield Change(name, "", what, Verdict.BREAKS_BOTH, hearing, not listening, None, mend)
    before, after = _consumers(old), _consumers(new)
    for service in sorted(before - after):
        still = "; its code still does" if service in listening else ""
        yield Change(name, "", f"{service} hears it no more{still}", Verdict.COMPATIBLE)
    for service in sorted(after - before):
        yield Change(name, "", f"{service} hears it from now on", Verdict.COMPATIBLE)


def _same(old: Snapshot, name: str, new: Snapshot, other: str) -> bool:
    """Whether two events promise the same payload, but for what a schema says of its own name."""
    if name not in old.schemas or other not in new.schemas:
        return False
    return bool(_promise(old.schemas[name]) == _promise(new.schemas[other]))


def _promise(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    return {key: value for key, value in schema.items() if key not in {"$id", "title", "description", "$comment"}}


def _hearing(name: str, snapshot: Snapshot, readers: Readers) -> set[str]:
    """Who is registered as hearing an event, and whose Structs do."""
    coded = {service for service, structs in readers.items() if name in {struct.EVENT for struct in structs}}
    return coded | _consumers(snapshot.events[name])


def _consumers(entry: Mapping[str, Any]) -> set[str]:
    named = entry.get("consumers")
    return {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()
