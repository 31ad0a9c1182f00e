"""What a search asks of the index: tiers of lexeme queries, each wider than the one before. Pure.

An answer is ordered by tier, and within a tier by place; no score is computed, so a common word costs no more than a
rare one. The tiers: the name is what was typed; its words stand in the name as they were typed; all words stand in the
name; all stand somewhere and one at least in the name; all stand somewhere. Behind them, where words were unknown or
found too little, the same for what may have been meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ecom.search.domain import Field, sample, sample_fine, whole

WORDS_MAX = 16
"""Words of a query that count."""
RELAXED_WORDS_MIN = 3
RELAXED_WORDS_MAX = 8
UNGUESSED = 0
"""The size of a tier that nothing is known of: taken for narrow until it has shown itself otherwise."""
SAMPLES = 64
SAMPLES_FINE = 4096
# More lexemes than that in an OR cost more than the next coarser sample.
SAMPLES_FINE_MAX = 16
SAMPLES_MAX = 32


@dataclass(frozen=True, slots=True)
class Known:
    """A word of the vocabulary: what it is indexed under, and in how many documents about."""

    stem: str
    in_name: int
    anywhere: int


@dataclass(frozen=True, slots=True)
class Tier:
    """A lexeme query, and a guess at how many documents fulfil it."""

    query: str
    size: int


@dataclass(frozen=True, slots=True)
class Tiers:
    """From narrow to wide, each containing those before it; ``exact`` is the name that comes before them all."""

    exact: str
    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Filters:
    """What every match must fulfil beside the words: a lexeme query, and a guess at how many documents do."""

    query: str
    size: int


Meanings = Sequence[Sequence[Known]]
"""For each word of a query what it may mean, the likeliest first."""


def filters(category: str, brand: str, words: Iterable[Known], documents: int) -> Filters:
    """The filters as lexemes; no more documents can fulfil them than have their rarest word."""
    lexemes = (*whole(Field.CATEGORY, category), *whole(Field.BRAND, brand))
    return Filters(_all(map(_lexeme, lexemes)), min((word.anywhere for word in words), default=documents))


def strict(words: Sequence[str], meanings: Meanings, only: Filters, documents: int) -> Tiers:
    """The tiers of words taken as they are: of each, the likeliest meaning."""
    best = [meaning[:1] for meaning in meanings[:WORDS_MAX]]
    tiers = []
    if len(best) > 1:
        phrase = [meaning[0].stem for meaning in best]
        tiers.append(_with(only, _phrase(phrase), UNGUESSED))
    if best:
        tiers += _everywhere(best, only, documents)
    elif only.query:
        tiers.append(Tier(only.query, only.size))
    else:
        tiers.append(Tier(EVERYTHING, documents))
    return Tiers(" ".join(words), tuple(tiers))


def meant(words: Sequence[str], meanings: Meanings, only: Filters, documents: int) -> Tiers:
    """The tiers of what words may mean: the likeliest meanings first, then any of the others."""
    best = strict(words, meanings, only, documents)
    few = meanings[:WORDS_MAX]
    if all(len(meaning) == 1 for meaning in few):
        return best
    widest = best.tiers[-1]
    return Tiers(best.exact, (*best.tiers, *(_either((widest, tier)) for tier in _everywhere(few, only, documents))))


def relaxed(meanings: Meanings, only: Filters, documents: int) -> Tiers | None:
    """All words but any one of them; None where there are too few or too many for that to mean anything."""
    if not RELAXED_WORDS_MIN <= len(meanings) <= RELAXED_WORDS_MAX:
        return None
    without = [[*meanings[:i], *meanings[i + 1 :]] for i in range(len(meanings))]
    each = [_everywhere(some, only, documents) for some in without]
    return Tiers("", tuple(_either([tiers[place] for tiers in each]) for place in (0, 1, -1)))


def first_places(share: float) -> tuple[str, float] | None:
    """The lexemes of at least that share of all places, the first ones, and how much they are; None for too many."""
    fine = math.ceil(share * SAMPLES_FINE)
    if fine <= SAMPLES_FINE_MAX:
        return _any(_lexeme(sample_fine(number)) for number in range(fine)), fine / SAMPLES_FINE
    coarse = math.ceil(share * SAMPLES)
    if coarse <= SAMPLES_MAX:
        return _any(_lexeme(sample(number)) for number in range(coarse)), coarse / SAMPLES
    return None


def names_with(stems: Sequence[str], ends: Sequence[Known], documents: int) -> Tiers:
    """Names that have the words, and one of those that the last may become."""
    meanings = [*([Known(stem, documents, documents)] for stem in stems), ends]
    narrow, *_ = _everywhere(meanings, Filters("", documents), documents)
    return Tiers("", (narrow,))


def _everywhere(meanings: Meanings, only: Filters, documents: int) -> list[Tier]:
    """All words in the name; all words somewhere and one at least in the name; all words somewhere."""
    in_name = list(dict.fromkeys(_any(_in_name(each.stem) for each in meaning) for meaning in meanings))
    anywhere = list(dict.fromkeys(_any(_anywhere(each.stem) for each in meaning) for meaning in meanings))
    names = [sum(each.in_name for each in meaning) for meaning in meanings]
    wholes = [sum(each.anywhere for each in meaning) for meaning in meanings]
    size = _guess([*wholes, only.size], documents)
    narrow = _with(only, _all(in_name), _guess([*names, only.size], documents))
    wide = _with(only, _all(anywhere), size)
    if len(in_name) == 1:
        return [narrow, wide]
    return [narrow, _with(only, _all([*anywhere, _any(in_name)]), min(size, sum(names))), wide]


def _guess(sizes: Sequence[int], documents: int) -> int:
    """How many documents fulfil several conditions: between all that fulfil the rarest, and mere coincidence."""
    rarest = min(sizes)
    if documents <= 0:
        return rarest
    coincidence = documents * math.prod(min(size / documents, 1.0) for size in sizes)
    return round(math.sqrt(rarest * max(coincidence, 1.0)))


def _with(only: Filters, query: str, size: int) -> Tier:
    return Tier(f"{query} & {only.query}" if only.query else query, size)


def _either(tiers: Sequence[Tier]) -> Tier:
    return Tier(_any(f"({tier.query})" for tier in tiers), sum(tier.size for tier in tiers))


def _phrase(stems: Sequence[str]) -> str:
    """The words are neighbours in the name, in this order."""
    return _all(_lexeme(f"{Field.PAIR}{left}_{right}") for left, right in pairwise(stems))


def _in_name(stem: str) -> str:
    return _lexeme(Field.NAME + stem)


def _anywhere(stem: str) -> str:
    return f"({_lexeme(Field.NAME + stem)} | {_lexeme(Field.ELSEWHERE + stem)})"


def _all(parts: Iterable[str]) -> str:
    return " & ".join(parts)


def _any(parts: Iterable[str]) -> str:
    each = list(parts)
    return each[0] if len(each) == 1 else f"({' | '.join(each)})"


def _lexeme(text: str) -> str:
    """Quoted: a folded word is letters and digits, which need no quotes; this stays right whatever it is."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


EVERYTHING = _any(_lexeme(sample(number)) for number in range(SAMPLES))
"""Every document stands in one of all places."""
