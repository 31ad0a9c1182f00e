"""A broker whose groups hear a message when it is chosen, not when it is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from tests.simulation.broker import PARTITIONS, Broker, Group
from tests.simulation.record import Place
from tests.simulation.world import World

Hearing = tuple[str, Place, int]  # group, log, offset


class GatedBroker(Broker):
    """Each order has partitions of its own, and the groups that are held back hear one chosen message at a time."""

    def __init__(self, world: World, held_back: Collection[str]) -> None:
        super().__init__(world)
        self._held_back = held_back
        self._orders: dict[bytes | None, int] = {}
        self._written: list[tuple[Place, int]] = []
        self._heard: dict[tuple[str, Place], int] = {}
        self.copies: set[tuple[Place, int]] = set()

    def place(self, topic: str, key: bytes | None) -> Place:
        return topic, self._orders.setdefault(key, len(self._orders)) % PARTITIONS

    def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Any) -> Place:
        at = super().append(topic, key, value, headers)
        self._written.append((at, len(self.logs[at]) - 1))
        return at

    def end(self, group: str, at: Place) -> int:
        return self._heard.get((group, at), 0) if group in self._held_back else super().end(group, at)

    def order(self, tail: str) -> int:
        """Which order this is, by the last letters of its id: 1 for the first that a message was written about."""
        return next((n for key, n in self._orders.items() if key and key.decode().endswith(tail)), 0) + 1

    def waiting(self) -> Iterator[Hearing]:
        """The next message of each log for each group that is held back, in the order in which they were written."""
        for at, offset in self._written:
            for name in self._listeners(at[0]):
                if self.end(name, at) == offset:
                    yield name, at, offset

    def heard(self) -> Iterator[Hearing]:
        """What groups that are held back have heard."""
        for at, offset in self._written:
            for name in self._listeners(at[0]):
                if self.end(name, at) > offset:
                    yield name, at, offset

    def let_hear(self, hearing: Hearing) -> None:
        """A message reaches a group."""
        name, at, offset = hearing
        self._heard[name, at] = offset + 1
        self._ring(self.group(name))

    def deliver_again(self, hearing: Hearing) -> None:
        """The group goes back: its member is put out, and what a zombie of it had committed is older."""
        name, at, offset = hearing
        group = self.group(name)
        group.committed[at] = offset
        members = list(group.members)
        for member in members:
            self.leave(member)
            member.bell.set()

    def write_again(self, hearing: Hearing) -> None:
        """A relay that did not hear its answer writes once more, and this group hears the copy now."""
        name, at, offset = hearing
        record = self.logs[at][offset]
        place = self.append(at[0], record.key(), record.value(), record.headers())
        copied = len(self.logs[place]) - 1
        self.copies.add((place, copied))
        self.let_hear((name, place, copied))

    def _listeners(self, topic: str) -> Iterator[str]:
        return (
            name
            for name, group in sorted(self.groups.items())
            if name in self._held_back and any(topic in member.topics for member in group.members)
        )

    def _ring(self, group: Group) -> None:
        for member in group.members:
            member.bell.set()
