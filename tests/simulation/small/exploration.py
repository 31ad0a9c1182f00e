"""The tree of choices: each run follows one way to its end, and what raced on it says which other ways there are.

Source-DPOR (P. Abdulla, S. Aronis, B. Jonsson, K. Sagonas, Optimal Dynamic Partial Order Reduction, POPL 2014) with
sleep sets (P. Godefroid, Partial-Order Methods for the Verification of Concurrent Systems, LNCS 1032, 1996, chapter 5):
of all orders that differ only in how independent choices are interleaved, exactly one is run to its end. Two dependent
choices race where the later one was possible without the earlier; a branch then begins before the earlier, with what
leads to the later. A choice that was tried sleeps in the branches of its later siblings until one that depends on it is
made: until then, making it would give a world that was seen. A run of which all possible choices sleep is redundant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from tests.simulation.small.choice import independent


class Branch(msgspec.Struct, frozen=True):
    """A way into the tree: the choices that lead there, and those that sleep at its end."""

    choices: tuple[str, ...] = ()
    asleep: tuple[str, ...] = ()


class Strayed(Exception):
    """A choice that was to be made is not possible."""


class Walk:
    """One way through the tree, from a branch to an end; the first choice that does not sleep, each time."""

    def __init__(self, branch: Branch, commute: Callable[[str, str], bool] = independent) -> None:
        self._commute = commute
        self._given = branch.choices
        self._asleep = branch.asleep
        self._possible_since: dict[str, tuple[int, bool]] = {}
        self._has_rested = False
        self.taken: list[str] = []
        # For each choice, how many came before it was possible, and whether it needed all of them.
        self.since: list[tuple[int, bool]] = []

    def next(self, possible: Sequence[str]) -> str | None:
        """The next choice, None where every one sleeps. Raises Strayed where a given one is not possible."""
        for each in possible:
            self._possible_since.setdefault(each, (len(self.taken), self._has_rested))
        self._has_rested = False
        if len(self.taken) < len(self._given):
            choice = self._given[len(self.taken)]
            if choice not in possible:
                raise Strayed(f"{choice} is not possible after {len(self.taken)} choices, but {', '.join(possible)}.")
        else:
            awake = [each for each in possible if each not in self._asleep]
            if not awake:
                return None
            choice = awake[0]
            self._asleep = _still(self._asleep, choice, self._commute)
        self.taken.append(choice)
        self.since.append(self._possible_since.pop(choice))
        return choice

    def rest(self) -> None:
        """Nothing was possible, and time passed: what is possible now comes after all that was chosen."""
        self._has_rested = True


class Path:
    """A given order of choices, kept as well as a world allows in which something else happens too, as a crash."""

    since: Sequence[tuple[int, bool]] = ()

    def __init__(self, choices: Sequence[str]) -> None:
        self._left = list(choices)
        self.taken: list[str] = []

    def next(self, possible: Sequence[str]) -> str:
        """The first of the given choices that is possible, or else whatever is."""
        choice = next((each for each in self._left if each in possible), possible[0])
        if choice in self._left:
            self._left.remove(choice)
        self.taken.append(choice)
        return choice

    def rest(self) -> None: ...


@dataclass(slots=True)
class _Fork:
    """A state in the tree: what sleeps there, and what was tried, oldest first."""

    asleep: tuple[str, ...]
    tried: list[str] = field(default_factory=list)


class Tree:
    """All ways of one small world that were found so far."""

    def __init__(self, commute: Callable[[str, str], bool] = independent) -> None:
        self._commute = commute
        self._forks: dict[tuple[str, ...], _Fork] = {(): _Fork(())}

    def grow(self, choices: Sequence[str], since: Sequence[tuple[int, bool]]) -> list[Branch]:
        """Enter a run; returns the branches that it shows to be there."""
        for number, choice in enumerate(choices):
            self._enter(tuple(choices[:number]), choice)
        branches = []
        for earlier, firsts in _races(choices, since, self._commute):
            start = tuple(choices[:earlier])
            fork = self._forks[start]
            if not any(first in fork.tried for first in firsts):
                self._enter(start, firsts[0])
                if firsts[0] not in fork.asleep:
                    branches.append(Branch((*start, firsts[0]), self._forks[*start, firsts[0]].asleep))
        return branches

    def _enter(self, start: tuple[str, ...], choice: str) -> None:
        fork = self._forks[start]
        if choice not in fork.tried:
            asleep = _still((*fork.asleep, *fork.tried), choice, self._commute)
            self._forks[*start, choice] = _Fork(asleep)
            fork.tried.append(choice)


def _races(
    choices: Sequence[str], since: Sequence[tuple[int, bool]], commute: Callable[[str, str], bool]
) -> Iterator[tuple[int, list[str]]]:
    """Each choice that might have come later than another one did, and how the way to that one may begin."""
    before: list[set[int]] = []  # what each choice had to follow
    for late, choice in enumerate(choices):
        count, needs_all = since[late]
        causes = set(range(count)) if needs_all else {count - 1} if count else set()
        causes = causes.union(*(before[each] for each in causes))
        rivals = {early for early in range(late) if not commute(choices[early], choice)}
        before.append(causes.union(rivals, *(before[each] for each in rivals)))
        for early in sorted(rivals - causes):
            if any(early in before[each] for each in before[late] if each > early):
                continue  # they are ordered by one between them
            way = [each for each in range(early + 1, late) if early not in before[each]] + [late]
            firsts = [each for each in way if not before[each].intersection(way)]
            yield early, [choices[each] for each in firsts]


def _still(asleep: Sequence[str], choice: str, commute: Callable[[str, str], bool]) -> tuple[str, ...]:
    """Those that go on sleeping after a choice."""
    return tuple(sorted({each for each in asleep if commute(each, choice)}))
