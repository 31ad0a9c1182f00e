"""Whether the services of one deployment meet: a configured topic is an event's, and both sides name the same one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dovecote.contracts.code import Code
from dovecote.contracts.problem import Problem, nearest, pointer
from dovecote.settings import topic_key

PLACE = ("app", "kafka", "topics")


def topic_problems(events: Mapping[str, Any], known: Collection[str], code: Code) -> Iterator[Problem]:
    """Each key that names no event (of all that are ``known``), and each service that would not hear another."""
    keys = {topic_key(name) for name in known}
    for service, topics in code.topics.items():
        for key in sorted(topics.named.keys() - keys):
            wrong = f"{service} names a topic for {key!r}, which is no registered event{nearest(key, keys)}"
            yield Problem(topics.file, pointer(*PLACE, key), wrong, "correct the key, or register the event")
    for name, entry in events.items():
        yield from _apart(name, entry, code)


def _apart(name: str, entry: Mapping[str, Any], code: Code) -> Iterator[Problem]:
    """The consumers of an event that listen elsewhere; where the producer alone left the event's name, it is named."""
    if (said := code.topics.get(entry["producer"])) is None:
        return
    topic = said.of(name)
    hears = {service: code.topics[service] for service in entry["consumers"] if service in code.topics}
    deaf = {service: topics for service, topics in hears.items() if topics.of(name) != topic}
    if not deaf:
        return
    place = pointer(*PLACE, topic_key(name))
    mend = f"name one topic for {name} in every service, or none: then it is {name}"
    if topic != name and len({topics.of(name) for topics in hears.values()}) == 1:
        listening = next(iter(deaf.values())).of(name)
        wrong = f"{entry['producer']} says {name} on {topic!r}, its readers listen to {listening!r}"
        yield Problem(said.file, place, f"{wrong}: {', '.join(sorted(deaf))} would not hear it", mend)
        return
    for service, topics in sorted(deaf.items()):
        wrong = f"{service} listens to {topics.of(name)!r} for {name}, {entry['producer']} says it on {topic!r}"
        yield Problem(topics.file, place, f"{wrong}: {service} would not hear it", mend)
