"""Sets of strings, as patterns and lengths describe them: the shortest member, and whether one set holds another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from dovecote.contracts.compatibility.expression import LAST, Automaton, UnreadableError, read

STEPS_MAX = 30_000
_States: TypeAlias = "frozenset[int] | int"
# Characters that a person likes to read in an example, the most likely first.
_READABLE = "aA0 -._:/@+,xZ9#!~é"


@dataclass(frozen=True, slots=True)
class Length:
    """Strings of at least ``least`` and at most ``most`` code points (None: no limit)."""

    least: int
    most: int | None = None


Condition: TypeAlias = "str | Length"
"""A pattern as JSON Schema writes it, or a length."""


def shortest(holds: Iterable[Condition], fails: Iterable[Condition] = ()) -> str | None:
    """The shortest string for which all of ``holds`` are true and all of ``fails`` false; None where there is none.

    A look-around in ``holds`` is let pass, so a string found may not hold it, and None is true all the same.
    Raises UnreadableError where a pattern is beyond regular ones, or the search too long.
    """
    machines = [(_machine(condition, loose=True), True) for condition in holds]
    machines += [(_machine(condition, loose=False), False) for condition in fails]
    letters = _letters([machine.automaton for machine, _ in machines if isinstance(machine, _Pattern)])
    start = tuple(machine.start() for machine, _ in machines)
    waiting: deque[tuple[tuple[_States, ...], str]] = deque([(start, "")])
    seen = {start}
    steps = 0
    while waiting:
        states, text = waiting.popleft()
        if all(machine.accepts(state) is wanted for (machine, wanted), state in zip(machines, states, strict=True)):
            return text
        for letter in letters:
            steps += 1
            if steps > STEPS_MAX:
                raise UnreadableError("the search is too long")
            after = tuple(m.step(s, letter) for (m, _), s in zip(machines, states, strict=True))
            dead = any(wanted and machine.dead(state) for (machine, wanted), state in zip(machines, after, strict=True))
            if after not in seen and not dead:
                seen.add(after)
                waiting.append((after, text + chr(letter)))
    return None


@lru_cache(maxsize=4096)
def within(holds: tuple[Condition, ...], condition: Condition) -> bool:
    """Whether a condition is true for every string for which all of ``holds`` are; False where it cannot be told."""
    try:
        return shortest(holds, [condition]) is None
    except UnreadableError:
        return False


class _Pattern:
    """A pattern's automaton, made deterministic as far as it is walked."""

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self._steps: dict[tuple[frozenset[int], int], frozenset[int]] = {}
        self._start = self._closure({automaton.start}, "^")
        self._empty = automaton.end in self._closure({automaton.start}, "^$")

    def start(self) -> _States:
        # A number below any state's marks the empty string, where both ends are at once.
        return self._start | {-1}

    def step(self, states: _States, letter: int) -> _States:
        assert isinstance(states, frozenset)
        found = self._steps.get((states, letter))
        if found is None:
            reached = {
                target
                for state in states
                if state >= 0
                for ranges, target in self.automaton.moves[state]
                if any(first <= letter <= last for first, last in ranges)
            }
            found = self._steps[states, letter] = self._closure(reached, "")
        return found

    def accepts(self, states: _States) -> bool:
        assert isinstance(states, frozenset)
        if -1 in states:
            return self._empty
        return self.automaton.end in self._closure(set(states), "$")

    def dead(self, states: _States) -> bool:
        return not states

    def _closure(self, states: set[int], signs: str) -> frozenset[int]:
        """All states that epsilon edges lead to; ``signs`` are the ends of the string that we stand at."""
        found, waiting = set(states), list(states)
        while waiting:
            for sign, target in self.automaton.skips[waiting.pop()]:
                if target not in found and (sign == "" or sign in signs):
                    found.add(target)
                    waiting.append(target)
        return frozenset(found)


class _Counter:
    """Counts code points up to just beyond what the length asks."""

    def __init__(self, length: Length) -> None:
        self.length = length
        self.top = length.least if length.most is None else max(length.most + 1, length.least)

    def start(self) -> _States:
        return 0

    def step(self, states: _States, _letter: int) -> _States:
        assert isinstance(states, int)
        return min(states + 1, self.top)

    def accepts(self, states: _States) -> bool:
        assert isinstance(states, int)
        return states >= self.length.least and (self.length.most is None or states <= self.length.most)

    def dead(self, states: _States) -> bool:
        assert isinstance(states, int)
        return self.length.most is not None and states > self.length.most


@lru_cache(maxsize=1024)
def _machine(condition: Condition, *, loose: bool) -> _Pattern | _Counter:
    return _Pattern(read(condition, loose=loose)) if isinstance(condition, str) else _Counter(condition)


def _letters(automata: Sequence[Automaton]) -> list[int]:
    """One letter of each class of letters that the automata do not tell apart, readable ones first."""
    if not automata:
        return [ord(_READABLE[0])]
    borders = {0, 0xD800, 0xE000}
    for automaton in automata:
        for moves in automaton.moves:
            for ranges, _ in moves:
                for first, last in ranges:
                    borders.update((first, last + 1))
    edges = sorted(border for border in borders if border <= LAST)
    chosen = []
    for first, following in zip(edges, [*edges[1:], LAST + 1], strict=True):
        if first == 0xD800:
            continue  # a lone surrogate is not text
        readable = next((ord(sign) for sign in _READABLE if first <= ord(sign) < following), None)
        chosen.append(readable if readable is not None else max(first, min(0x21, following - 1)))
    likes = {ord(sign): at for at, sign in enumerate(_READABLE)}
    return sorted(chosen, key=lambda letter: (likes.get(letter, len(likes)), not 0x21 <= letter < 0x7F, letter))
