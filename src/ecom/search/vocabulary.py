"""The vocabulary as searches use it: what is known of a word, and what an unknown one may mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from dovecote.database import Database
from ecom.search import word_store
from ecom.search.lexicon import Lexicon
from ecom.search.memory import Memory
from ecom.search.mirroring import Mirroring
from ecom.search.plan import Known
from ecom.search.spelling import one_slip_away, slips, slips_max
from ecom.search.word_store import State
from ecom.search.words import stem

KNOWN_S = 10.0
"""Counts only choose between plans: they may be older than what they count."""
UNKNOWN_S = 0.3
"""A product that brings a new word is found by it that much later at most."""
MEANINGS_MAX = 20
PREFIX_MIN = 2
HALF_MIN = 3


class Vocabulary:
    """The words of the slot that serves."""

    def __init__(self, mirroring: Mirroring) -> None:
        self._mirroring = mirroring
        self._known: Memory[Known | str] = Memory()
        self._meanings: Memory[list[Known]] = Memory()
        self._common: dict[str, Known] = {}
        self._common_of: tuple[str, int | None] | None = None

    async def counts(self, database: Database, state: State, lexemes: Iterable[str]) -> dict[str, Known]:
        """Those of the lexemes that are common, as the job has counted them."""
        lexicon = self._mirroring.lexicon(state.live)
        if lexicon is not None:
            return lexicon.stems(lexemes)
        if (state.live, state.counted) != self._common_of:
            self._common = await word_store.find_common(database, state.live)
            self._common_of = state.live, state.counted
            self._known = Memory()
        return {each: self._common[each] for each in lexemes if each in self._common}

    async def known(
        self, database: Database, state: State, stems: Iterable[str], *, perhaps: Iterable[str] = ()
    ) -> dict[str, Known]:
        """Those of the stems that documents have. What is asked ``perhaps`` is so only if something must be asked."""
        lexicon = self._mirroring.lexicon(state.live)
        if lexicon is not None:
            return lexicon.stems(stems)
        asked = dict.fromkeys(stems)
        found = await self.counts(database, state, asked)
        missing: list[str] = []
        for each in asked:
            if each in found or not each:
                continue
            kept = self._known.get((state.live, each))
            if kept is None:
                missing.append(each)
            elif isinstance(kept, Known):
                found[each] = kept
        if missing:
            missing += [each for each in perhaps if each and each not in asked and each not in self._common]
            looked_up = await word_store.find_stems(database, state.live, missing)
            for each in missing:
                if each in looked_up:
                    found[each] = looked_up[each]
                    self._known.keep((state.live, each), looked_up[each], KNOWN_S)
                else:
                    self._known.keep((state.live, each), each, UNKNOWN_S)
        return found

    async def meanings(self, database: Database, state: State, word: str) -> list[Known]:
        """What a word that documents do not have may mean: words that begin so, else words a slip or two away."""
        lexicon = self._mirroring.lexicon(state.live)
        if lexicon is not None:  # it knows new words at once, and asking it costs little
            return await self._look_up(database, state, word, lexicon)
        kept = self._meanings.get((state.live, word))
        if kept is not None:
            return kept
        return self._meanings.keep((state.live, word), await self._look_up(database, state, word, None), UNKNOWN_S)

    async def _look_up(self, database: Database, state: State, word: str, lexicon: Lexicon | None) -> list[Known]:
        if len(word) < PREFIX_MIN or not word.isalpha():
            return []
        most = slips_max(word)
        # One slip is looked up, whatever it makes of the word; only what is further away takes trigrams to find.
        if lexicon is not None:
            longer = lexicon.prefix(word, MEANINGS_MAX)
            near = [] if longer or not most else lexicon.near(one_slip_away(word))
        else:
            slipped = sorted(one_slip_away(word)) if most else []
            longer, near = await word_store.find_meanings(database, state.live, word, slipped, MEANINGS_MAX)
        if longer:
            return longer
        if not near and most > 1:
            near = await word_store.find_alike(database, state.live, word)
        judged = [(slips(word, other, most), -known.anywhere, known.stem, known) for other, known in near]
        best = min((distance for distance, *_ in judged), default=most + 1)
        nearest = sorted(each for each in judged if each[0] == best <= most)
        return list({known.stem: known for *_, known in nearest}.values())[:MEANINGS_MAX]

    async def joined(
        self, database: Database, state: State, words: Sequence[str], *, perhaps: Iterable[str] = ()
    ) -> list[str]:
        """The words with those neighbours made one that documents write as one: tooth paste, toothpaste."""
        pairs = joinable(words)
        known = await self.known(database, state, map(stem, pairs), perhaps=perhaps)
        made: list[str] = []
        is_taken = False
        for word, pair in zip(words, [*pairs, ""], strict=True):
            if is_taken:
                is_taken = False
            elif stem(pair) in known:
                made.append(pair)
                is_taken = True
            else:
                made.append(word)
        return made

    async def halves(self, database: Database, state: State, word: str) -> list[str]:
        """The two words that an unknown one is made of, if documents have both: icecream, ice cream."""
        if not word.isalpha():
            return []
        cuts = [(word[:place], word[place:]) for place in range(HALF_MIN, len(word) - HALF_MIN + 1)]
        known = await self.known(database, state, [stem(half) for cut in cuts for half in cut])
        whole = [cut for cut in cuts if all(stem(half) in known for half in cut)]
        return list(max(whole, key=lambda cut: min(known[stem(half)].anywhere for half in cut), default=()))

    async def completions(self, database: Database, state: State, word: str) -> list[Known]:
        """What begins with a word, the commonest first. Numbers mean what they say."""
        if len(word) < PREFIX_MIN or not word.isalpha():
            return []
        lexicon = self._mirroring.lexicon(state.live)
        if lexicon is not None:
            return lexicon.prefix(word, MEANINGS_MAX)
        return await word_store.find_prefix(database, state.live, word, MEANINGS_MAX)


def unknown(word: str) -> Known:
    """A word that no document has."""
    return Known(stem(word), 0, 0)


def joinable(words: Sequence[str]) -> list[str]:
    """Each pair of neighbours as one word; nothing in place of a pair that has a number in it."""
    return [left + right if left.isalpha() and right.isalpha() else "" for left, right in pairwise(words)]
