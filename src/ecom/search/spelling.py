"""Words a letter or two away from the one that was typed. Pure."""

from __future__ import annotations

import string
from collections.abc import Iterator

_LETTERS = string.ascii_lowercase
SHORT = 5
"""Letters up to which one slip is forgiven; in longer words, two are."""


def slips_max(word: str) -> int:
    """How many slips are forgiven. Numbers mean what they say, and of two letters nothing is left after a slip."""
    if len(word) < 3 or not word.isalpha():
        return 0
    return 1 if len(word) <= SHORT else 2


def one_slip_away(word: str) -> set[str]:
    """Everything that one slip makes of a word: a letter left out, doubled or added, changed, or two swapped."""
    return set(_slipped(word)) - {word}


def _slipped(word: str) -> Iterator[str]:
    for place in range(len(word) + 1):
        head, tail = word[:place], word[place:]
        for letter in _LETTERS:
            yield head + letter + tail
            if tail:
                yield head + letter + tail[1:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]


def slips(left: str, right: str, most: int) -> int:
    """How many slips lie between two words, or ``most`` + 1 where more do.

    Damerau's distance in its usual restriction: a pair that was swapped is not touched again.
    """
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        above, row = row, [i]
        for j, b in enumerate(right, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before = above
    return min(row[-1], most + 1)
