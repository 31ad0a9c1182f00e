"""A regular expression of JSON Schema read into a nondeterministic automaton over code points."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Code points, as inclusive ranges in order."""

LAST = 0x10FFFF
REPEATS_MAX = 1000
STATES_MAX = 20_000
DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = (
    *((9, 13), (32, 32), (160, 160), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
LINE_END: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
_CLASSES = {"d": DIGIT, "w": WORD, "s": SPACE}
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_SPECIAL = frozenset("^$\\.*+?()[]{}|/-")
_AROUND = re.compile(r"\?<?[=!]")
_QUANTIFIER = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")


class UnreadableError(Exception):
    """The expression uses what a finite automaton does not have (a look-around, a word boundary), or is huge."""


@dataclass(slots=True)
class Automaton:
    """States are numbers; a string matches where a path leads from ``start`` to ``end``.

    An epsilon edge may ask for the start ("^") or the end ("$") of the string.
    """

    moves: list[list[tuple[Ranges, int]]] = field(default_factory=list)
    skips: list[list[tuple[str, int]]] = field(default_factory=list)
    start: int = 0
    end: int = 0

    def state(self) -> int:
        if len(self.moves) >= STATES_MAX:
            raise UnreadableError("too many states")
        self.moves.append([])
        self.skips.append([])
        return len(self.moves) - 1


def negated(ranges: Ranges) -> Ranges:
    """Every other code point."""
    found, at = [], 0
    for first, last in _ordered(ranges):
        if first > at:
            found.append((at, first - 1))
        at = max(at, last + 1)
    return (*found, (at, LAST)) if at <= LAST else tuple(found)


def read(expression: str, *, loose: bool = False) -> Automaton:
    """The automaton of all strings in which the expression is found, as JSON Schema's ``pattern`` asks.

    A ``loose`` one lets pass what a look-around or a word boundary asks: all strings that match, and some that do not.
    Raises UnreadableError where the expression is beyond regular ones.
    """
    automaton = Automaton()
    before, after = automaton.state(), automaton.state()
    anything: Ranges = ((0, LAST),)
    automaton.moves[before].append((anything, before))
    automaton.moves[after].append((anything, after))
    reader = _Reader(expression, automaton, loose=loose)
    start, end = reader.alternatives()
    if reader.at != len(expression):
        raise UnreadableError(f"unexpected {expression[reader.at]!r}")
    automaton.skips[before].append(("", start))
    automaton.skips[end].append(("", after))
    automaton.start, automaton.end = before, after
    return automaton


def _ordered(ranges: Ranges) -> Ranges:
    return tuple(sorted(ranges))


class _Reader:
    """Recursive descent; each method gives the first and the last state of what it has read."""

    def __init__(self, text: str, automaton: Automaton, *, loose: bool) -> None:
        self.text = text
        self.loose = loose
        self.at = 0
        self.made = automaton

    def alternatives(self) -> tuple[int, int]:
        first, last = self.made.state(), self.made.state()
        while True:
            start, end = self._sequence()
            self._skip(first, start)
            self._skip(end, last)
            if self._peek() != "|":
                return first, last
            self.at += 1

    def _sequence(self) -> tuple[int, int]:
        first = last = self.made.state()
        while self._peek() not in ("", "|", ")"):
            began = self.at
            start, end = self._atom()
            start, end = self._repeated(began, start, end)
            self._skip(last, start)
            last = end
        return first, last

    def _repeated(self, began: int, start: int, end: int) -> tuple[int, int]:
        """What was read since ``began``, as often as the quantifier behind it says."""
        sign = self._peek()
        if sign in ("*", "+", "?") and sign:
            self.at += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif match := _QUANTIFIER.match(self.text, self.at):
            self.at = match.end()
            least = int(match[1])
            most = least if match[2] is None else int(match[3]) if match[3] else None
        else:
            return start, end
        behind = self.at + (self._peek() == "?")
        if max(least, most or 0) > REPEATS_MAX:
            raise UnreadableError("too many repetitions")
        first = last = self.made.state()
        out = self.made.state()
        if least == 0:
            self._skip(first, out)
        for number in range(1, max(least, most or 1) + 1):
            if number > 1:
                self.at = began
                start, end = self._atom()
            self._skip(last, start)
            last = end
            if number >= least:
                self._skip(end, out)
        if most is None:
            self._skip(last, start)
        elif most == 0:
            self.at = behind
            return self._empty()
        self.at = behind
        return first, out

    def _atom(self) -> tuple[int, int]:
        sign = self._peek()
        self.at += 1
        if sign == "(":
            return self._group()
        if sign == "[":
            return self._one_of(self._class())
        if sign == ".":
            return self._one_of(negated(LINE_END))
        if sign in ("^", "$"):
            start, end = self.made.state(), self.made.state()
            self.made.skips[start].append((sign, end))
            return start, end
        if sign == "\\" and self.loose and self._peek() in ("b", "B"):
            self.at += 1
            return self._empty()
        if sign == "\\":
            return self._one_of(self._escape())
        if sign in ("*", "+", "?", "{"):
            raise UnreadableError(f"nothing to repeat before {sign!r}")
        return self._one_of(((ord(sign), ord(sign)),))

    def _group(self) -> tuple[int, int]:
        around = self.loose and _AROUND.match(self.text, self.at)
        if around:
            self.at = around.end()
        elif self._peek() == "?":
            match = re.compile(r"\?(?::|P?<[A-Za-z_]\w*>)").match(self.text, self.at)
            if match is None:
                raise UnreadableError("a look-around or a flag")
            self.at = match.end()
        start, end = self.alternatives()
        if self._peek() != ")":
            raise UnreadableError("a group is not closed")
        self.at += 1
        return self._empty() if around else (start, end)

    def _class(self) -> Ranges:
        """What stands between square brackets."""
        opposite = self._peek() == "^"
        self.at += opposite
        found: list[tuple[int, int]] = []
        while self._peek() != "]":
            member = self._member()
            if self._peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                until = self._member()
                if len(member) != 1 or len(until) != 1 or member[0][0] > until[0][1]:
                    raise UnreadableError("a range of classes")
                member = ((member[0][0], until[0][1]),)
            found += member
        self.at += 1
        if not found:
            raise UnreadableError("an empty class")
        return negated(tuple(found)) if opposite else _ordered(tuple(found))

    def _member(self) -> Ranges:
        sign = self._peek()
        self.at += 1
        # Engines differ on a bracket or a doubled sign inside a class: some read sets there.
        if sign in ("", "[", "&", "~"):
            raise UnreadableError("a class that engines read differently")
        return self._escape() if sign == "\\" else ((ord(sign), ord(sign)),)

    def _escape(self) -> Ranges:
        sign = self._peek()
        self.at += 1
        if sign and sign.lower() in _CLASSES:
            ranges = _CLASSES[sign.lower()]
            return ranges if sign.islower() else negated(ranges)
        if sign in _CONTROLS:
            code = _CONTROLS[sign]
        elif match := re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})").match(self.text, self.at - 1):
            self.at = match.end()
            code = int(match[1] or match[2], 16)
        elif sign in _SPECIAL and sign:
            code = ord(sign)
        else:
            raise UnreadableError(f"\\{sign}")
        return ((code, code),)

    def _one_of(self, ranges: Ranges) -> tuple[int, int]:
        start, end = self.made.state(), self.made.state()
        self.made.moves[start].append((ranges, end))
        return start, end

    def _empty(self) -> tuple[int, int]:
        state = self.made.state()
        return state, state

    def _skip(self, start: int, end: int) -> None:
        self.made.skips[start].append(("", end))

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]
