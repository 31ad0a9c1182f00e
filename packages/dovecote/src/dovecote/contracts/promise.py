"""What was promised before a change: the contracts and the topics of a release, or of a git ref."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from dovecote import settings
from dovecote.contracts.code import Code, Topics
from dovecote.contracts.compatibility import Change, Verdict
from dovecote.contracts.problem import Problem
from dovecote.contracts.release import TOPICS, Release
from dovecote.contracts.snapshot import Snapshot, git
from dovecote.errors import ContractError


@dataclass(frozen=True, slots=True)
class Promise:
    """Contracts that others rely on, by the name that a report gives them.

    ``topics`` are those of the producers; ``lost`` is what was released then and is not here as it was.
    """

    name: str
    contracts: Snapshot
    topics: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[Problem, ...] = ()

    @classmethod
    def of_release(cls, release: Release) -> Promise:
        """What a release shipped; raises ContractError where its copy cannot be read."""
        try:
            topics = msgspec.json.decode((release.folder / TOPICS).read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            topics = {}
        except (OSError, msgspec.DecodeError) as error:
            raise ContractError(f"{release.folder / TOPICS} cannot be read: {error}.") from error
        return cls(f"release {release.version}", release.snapshot(), topics)

    @classmethod
    def at_ref(cls, repository: Path, ref: str, folder: str, code: Code, released: str = "") -> Promise:
        """What a git ref promised: its registry, its schemas, and its configuration of the services of ``code``.

        ``released`` is the folder of the releases, seen from the repository as ``folder`` is: they must be here still.
        Raises ContractError as Snapshot.at_ref does, and where a configuration at that ref cannot be read.
        """
        contracts = Snapshot.at_ref(repository, ref, folder)
        before: dict[str, Topics] = {}
        for service, topics in code.topics.items():
            content = git(repository, "show", f"{ref}:{topics.file}")
            if content is not None:
                before[service] = Topics(topics.file, _configured(content, f"{topics.file} at {ref}"))
        lost = tuple(_lost(repository, ref, released)) if released else ()
        return cls(ref, contracts, said_on(contracts.events, before), lost)

    def moved(self, events: Mapping[str, Any], code: Code) -> Iterator[Change]:
        """Each event that is said on another topic than before: who listens to the old one hears nothing more."""
        now = said_on(events, code.topics)
        for event, topic in self.topics.items():
            if event in now and now[event] != topic:
                what = f"its topic was {topic} and is {now[event]}: what waits in the old one stays unread"
                mend = f"keep {topic}, or say a new version of the event on the new topic beside it"
                breaks = tuple(sorted(events[event]["consumers"]))
                yield Change(event, "", what, Verdict.BREAKS_BOTH, breaks, mend=mend)


def said_on(events: Mapping[str, Any], topics: Mapping[str, Topics]) -> dict[str, str]:
    """The topic on which each event's producer says it, of the producers whose configuration is known."""
    return {
        name: topics[entry["producer"]].of(name) for name, entry in events.items() if entry.get("producer") in topics
    }


def rekeyed(before: Snapshot, now: Snapshot) -> Iterator[Change]:
    """Each event whose registry says of another field than before that it is the Kafka key."""
    for name, entry in now.events.items():
        old, new = before.events.get(name, {}).get("key"), entry.get("key")
        if old is not None and old != new:
            what = f"its Kafka key was {old} and is {new}: events of one {old} no longer come in their order"
            mend = f"keep the key {old}, or say a new version of the event beside it"
            breaks = tuple(sorted(entry.get("consumers", ())))
            yield Change(name, "", what, Verdict.BREAKS_READERS, breaks, mend=mend)


def _lost(repository: Path, ref: str, released: str) -> Iterator[Problem]:
    """Each file of a release at a ref that is gone or differs here; a new release adds files and takes none."""
    changed = git(repository, "diff", "--name-only", "--no-renames", "--diff-filter=a", "-z", ref, "--", released)
    for file in (changed or b"").decode().split("\0"):
        if file:
            wrong = f"it belongs to a release that {ref} has, and is gone or changed"
            yield Problem(file, "", wrong, f"restore it (git checkout {ref} -- {file})")


def _configured(content: bytes, where: str) -> dict[str, str]:
    """The topics that a configuration names, as it reads without an environment."""
    try:
        flat = dict(settings._flatten(yaml.safe_load(content) or {}))
    except yaml.YAMLError as error:
        raise ContractError(f"{where} cannot be read: {error}.") from error
    start = "app.kafka.topics."
    named = {key.removeprefix(start): value for key, value in flat.items() if key.startswith(start)}
    return {key: str(settings._resolve(value, {})) for key, value in named.items()}
