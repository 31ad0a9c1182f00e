"""The vocabulary in a process's own memory: what `word_store` would say of it, without asking."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping

from dovecote.database import Database
from ecom.search import mirror_store
from ecom.search.plan import Known
from ecom.search.word_store import RANGE_END, RANGE_MAX

CHUNK = 250
"""Words read at once: they hold the loop for a millisecond."""
WORDS_MAX = 100_000
"""Words of a vocabulary up to which it is held; the 10,500 of the grocer's 92,331 products take 2 MB."""


class TooLarge(Exception):
    """There are more words than are held."""


class Lexicon:
    """The words of one slot, as they were counted when it was read. Make it with ``await Lexicon.of(…)``."""

    def __init__(self) -> None:
        self._sorted: list[str] = []
        self._words: dict[str, Known] = {}
        self._stems: dict[str, Known] = {}

    @classmethod
    async def of(cls, database: Database, slot: str) -> Lexicon:
        """Read a slot's vocabulary. Raises TooLarge."""
        lexicon = cls()
        after = ""
        while rows := await mirror_store.read_words(database, slot, after, CHUNK):
            for word, known in rows:
                lexicon._add(word, known)
                lexicon._sorted.append(word)  # PostgreSQL sorts them by code point, as Python does
            after = rows[-1][0]
            if len(lexicon._words) > WORDS_MAX:
                raise TooLarge("There are too many words to hold.")
        return lexicon

    def take_up(self, words: Mapping[str, Known]) -> None:
        """Learn words that are new."""
        for word, known in words.items():
            if word not in self._words:
                self._add(word, known)
                insort(self._sorted, word)

    def _add(self, word: str, known: Known) -> None:
        self._words[word] = known
        other = self._stems.get(known.stem)
        if other is None or other.anywhere < known.anywhere:
            self._stems[known.stem] = known

    def stems(self, asked: Iterable[str]) -> dict[str, Known]:
        """Those of the stems that the vocabulary has."""
        return {each: self._stems[each] for each in asked if each in self._stems}

    def prefix(self, prefix: str, limit: int) -> list[Known]:
        """What words that begin so are indexed under, the commonest first."""
        first = bisect_left(self._sorted, prefix)
        last = bisect_left(self._sorted, prefix + RANGE_END, first)
        words = self._sorted[first : min(last, first + RANGE_MAX)]
        found = {known.stem: self._stems[known.stem] for known in map(self._words.__getitem__, words)}
        return sorted(found.values(), key=_commonest)[:limit]

    def near(self, words: Iterable[str]) -> list[tuple[str, Known]]:
        """Those of the words that there are."""
        return [(word, self._words[word]) for word in words if word in self._words]


def _commonest(known: Known) -> tuple[int, str]:
    return -known.anywhere, known.stem
