"""What a search asks of the index: tiers of lexeme queries, each wider than the one before. Pure.

An answer is ordered by tier, and within a tier by place; no score is computed, so a common word costs no more than a
rare one. The tiers: the name is what was typed; its words stand in the name as they were typed; all words stand in the
name; all stand somewhere and one at least in the name; all stand somewhere. Behind them, where words were unknown or
found too little, the same for what may have been meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from ecom.search.domain import Field, place_lexeme, whole
from ecom.search.words import stem

WORDS_MAX = 16
"""Words of a query that count."""
RELAXED_WORDS_MIN = 3
RELAXED_WORDS_MAX = 8
COMMON_SHARE = 0.1
"""Of the documents: a word that more have costs the index more than it spares the table."""
SCANNED_MAX = 1_000
UNCOUNTED = 100
"""Documents of a lexeme that is too rare to be counted; taken for that also before anything is counted."""
SAMPLES_MAX = 6
"""Lexemes of a sample: more of them cost more than the sample of the next size."""
_CACHED_WORDS = 16_384


@dataclass(frozen=True, slots=True)
class Known:
    """A word of the vocabulary: what it is indexed under, and in how many documents about."""

    stem: str
    in_name: int
    anywhere: int


@dataclass(frozen=True, slots=True)
class Tier:
    """A lexeme query, and how to use it.

    ``size`` is a guess at how many documents fulfil it, ``is_counted`` whether the guess is a count. ``test`` tells
    whether a document that is found belongs to this tier, if it belongs to none before. ``covers`` is the query of
    everything in this tier and those before it; ``scan`` is the same, or less where that finds not many more in the
    index: then what is found must be tested for the rest.
    """

    query: str
    size: int
    is_counted: bool
    test: str
    covers: str
    scan: str


Tiers = tuple[Tier, ...]
"""From narrow to wide; the last covers all."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What every match must fulfil beside the words: a lexeme query, and how many documents do, about."""

    query: str
    size: int
    is_counted: bool


Meanings = Sequence[Sequence[Known]]
"""For each word of a query what it may mean, the likeliest first."""
Counts = Mapping[str, Known]
"""What the vocabulary has of the words and lexemes of a query."""


def counted(words: Sequence[str]) -> list[str]:
    """The lexemes beside the words themselves whose counts say how large the tiers of words are."""
    return [*_pairs([stem(word) for word in words]), *whole(Field.WHOLE, " ".join(words))]


def filtered(category: str, brand: str) -> list[str]:
    """The lexemes of the filters."""
    return [*whole(Field.CATEGORY, category), *whole(Field.BRAND, brand)]


def filters(category: str, brand: str, counts: Counts, documents: int) -> Filters:
    """The filters as lexemes."""
    lexemes = filtered(category, brand)
    size = min((_count(each, counts) for each in lexemes), default=documents)
    is_counted = len(lexemes) <= 1 and all(each in counts for each in lexemes)
    return Filters(_all(map(_lexeme, lexemes)), size, is_counted)


def strict(words: Sequence[str], meanings: Meanings, counts: Counts, only: Filters, documents: int) -> Tiers:
    """The tiers of words taken as they are: of each, the likeliest meaning. Without words, whatever is not filtered."""
    best = [meaning[:1] for meaning in meanings[:WORDS_MAX]]
    if not best:
        query = only.query or EVERYTHING
        return (Tier(query, only.size, only.is_counted, test=query, covers=query, scan=query),)
    return (*_named(words, best, counts, only), *_everywhere(best, only, documents))


def meant(words: Sequence[str], meanings: Meanings, counts: Counts, only: Filters, documents: int) -> Tiers:
    """The tiers of what words may mean: the likeliest meanings first, then any of the others."""
    few = meanings[:WORDS_MAX]
    if all(len(meaning) == 1 for meaning in few):
        return strict(words, meanings, counts, only, documents)
    best = [meaning[:1] for meaning in few]
    likeliest = _everywhere(best, only, documents)
    *narrower, widest = _everywhere(few, only, documents)
    return (
        *_named(words, best, counts, only),
        # Not every match is one of the likeliest meanings: the short test of a tier would let others in.
        *(replace(tier, test=tier.query) for tier in likeliest),
        *(replace(tier, covers=_either((likeliest[-1].query, tier.query))) for tier in narrower),
        widest,
    )


def relaxed(meanings: Meanings, only: Filters, documents: int) -> Tiers | None:
    """All words but any one of them; None where there are too few or too many for that to mean anything."""
    if not RELAXED_WORDS_MIN <= len(meanings) <= RELAXED_WORDS_MAX:
        return None
    without = [[*meanings[:i], *meanings[i + 1 :]] for i in range(len(meanings))]
    each = [_everywhere(some, only, documents) for some in without]
    return tuple(
        _tier(_either(tiers[place].query for tiers in each), sum(tiers[place].size for tiers in each))
        for place in (0, 1, -1)
    )


def first_places(share: float) -> tuple[str, float] | None:
    """The lexemes of at least that share of all places, the first ones, and how much they are; None for too many."""
    for field, number_of in ((Field.PLACE_FINE, 4096), (Field.PLACE, 256), (Field.PLACE_COARSE, 16)):
        count = max(1, math.ceil(share * number_of))
        if count <= SAMPLES_MAX:
            return _any(_lexeme(place_lexeme(field, number)) for number in range(count)), count / number_of
    return None


def names_with(stems: Sequence[str], ends: Sequence[Known], documents: int) -> Tiers:
    """Names that have the words, and one of those that the last may become."""
    meanings = [*([Known(stem, documents, documents)] for stem in stems), ends]
    narrow, *_ = _everywhere(meanings, Filters("", documents, is_counted=True), documents)
    return (narrow,)


def _named(words: Sequence[str], best: Meanings, counts: Counts, only: Filters) -> list[Tier]:
    """The name is what was typed; its words stand in the name as they were typed."""
    phrase = [meaning[0].stem for meaning in best]
    tiers = []
    if phrase == [stem(word) for word in words]:
        [name] = whole(Field.WHOLE, " ".join(words))
        tiers.append(_tier(_lexeme(name), _count(name, counts), only, is_counted=name in counts))
    if len(phrase) > 1:
        pairs = _pairs(phrase)
        size = min(_count(pair, counts) for pair in pairs)
        is_counted = len(pairs) == 1 and pairs[0] in counts
        tiers.append(_tier(_all(map(_lexeme, pairs)), size, only, is_counted=is_counted))
    return tiers


def _everywhere(meanings: Meanings, only: Filters, documents: int) -> list[Tier]:
    """All words in the name; all words somewhere and one at least in the name; all words somewhere."""
    meanings = list({tuple(each.stem for each in meaning): meaning for meaning in meanings}.values())
    in_name = [_any(_in_name(each.stem) for each in meaning) for meaning in meanings]
    anywhere = [_any(_anywhere(each.stem) for each in meaning) for meaning in meanings]
    names = [sum(each.in_name for each in meaning) for meaning in meanings]
    wholes = [sum(each.anywhere for each in meaning) for meaning in meanings]
    is_counted = len(in_name) == 1 and not only.query and len(meanings[0]) == 1
    size = _guess([*wholes, only.size], documents)
    narrow = _tier(_all(in_name), _guess([*names, only.size], documents), only, is_counted=is_counted)
    wide = _tier(_all(anywhere), size, only, is_counted=is_counted)
    if len(in_name) == 1:
        return [narrow, wide]
    rest = _rarer(meanings, wholes, documents)
    if rest is not None:
        wide = replace(wide, scan=_tier(_all(anywhere[place] for place in rest), 0, only).query)
    one = _any(in_name)
    some = _tier(_all([*anywhere, one]), min(size, sum(names)), only, is_counted=False)
    return [narrow, replace(some, test=one), wide]


def _rarer(meanings: Meanings, sizes: Sequence[int], documents: int) -> list[int] | None:
    """The places of the words without those that every few documents have, if the others find little enough alone."""
    rest = [place for place in range(len(meanings)) if sizes[place] <= documents * COMMON_SHARE]
    if not rest or len(rest) == len(meanings):
        return None
    return rest if _guess([sizes[place] for place in rest], documents) <= SCANNED_MAX else None


def _guess(sizes: Sequence[int], documents: int) -> int:
    """How many documents fulfil several conditions: between all that fulfil the rarest, and mere coincidence."""
    rarest = min(sizes)
    if documents <= 0:
        return rarest
    coincidence = documents * math.prod(min(size / documents, 1.0) for size in sizes)
    return round(math.sqrt(rarest * max(coincidence, 1.0)))


def _tier(query: str, size: int, only: Filters | None = None, *, is_counted: bool = False) -> Tier:
    filtered_query = f"{query} & {only.query}" if only and only.query else query
    return Tier(filtered_query, size, is_counted, test=query, covers=filtered_query, scan=filtered_query)


def _either(queries: Iterable[str]) -> str:
    return _any(f"({query})" for query in queries)


def _pairs(phrase: Sequence[str]) -> list[str]:
    return [f"{Field.PAIR}{left}_{right}" for left, right in pairwise(phrase)]


def _count(lexeme: str, counts: Counts) -> int:
    return counts[lexeme].anywhere if lexeme in counts else UNCOUNTED


@lru_cache(maxsize=_CACHED_WORDS)
def _in_name(stem: str) -> str:
    return _lexeme(Field.NAME + stem)


@lru_cache(maxsize=_CACHED_WORDS)
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


EVERYTHING = _any(_lexeme(place_lexeme(Field.PLACE_COARSE, number)) for number in range(16))
"""Every document stands in one of all places."""
