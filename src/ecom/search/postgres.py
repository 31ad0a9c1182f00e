"""The index in PostgreSQL: lexemes in a GIN index, names, prices and dates in B-trees."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from dovecote.database import Database, Transaction
from ecom.search import name_store, plan, store, word_store
from ecom.search.domain import Ask, Change, Found, Hit, Sort, latest
from ecom.search.memory import Age, Memory
from ecom.search.mirroring import Mirroring
from ecom.search.page_store import Scope
from ecom.search.pages import Page, Pages
from ecom.search.plan import Filters, Known, Tiers
from ecom.search.vocabulary import Vocabulary, joinable, unknown
from ecom.search.word_store import State
from ecom.search.words import abbreviation, stem, tokens

STATE_S = 0.2
"""So much later another process's change is seen."""
ANSWERS_MAX = 5_000
ANSWER_HITS_MAX = 50
"""Hits up to which an answer is remembered: 60 MB at the very most, 20 with pages of 20; four of ten of the bench's
queries have been asked before."""
SUGGESTIONS_MAX = 10_000
"""Answers to what was typed; everyone types the same first letters, so seven of ten are remembered."""
FEW = 3
"""Matches below which the last word may also be the beginning of another."""
RARE = 100
"""Documents of a last word up to which it may also be the beginning of another; who types a common one means it."""
ENDS_MAX = 5
NAMES_PER_SUGGESTION = 3
"""Products looked at for each suggestion wanted: several may have the same name."""
NO_PAGE = Page((), 0, is_exact=True)
NOTHING = Found((), 0, is_exact=True)
NO_FILTERS = Filters("", 0, is_counted=False)
_hit = msgspec.json.Decoder(Hit).decode


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search with what is the same for every attempt at it."""

    ask: Ask
    state: State
    only: Filters

    @property
    def scope(self) -> Scope:
        """Where it looks."""
        ask, state = self.ask, self.state
        return Scope(state.live, ask.active_only, ask.price_min, ask.price_max, state.change, state.is_counted)


class PostgresIndex:
    """See `ecom.search.index.Index`. What it remembers, it remembers for seconds."""

    def __init__(self) -> None:
        self._state: Memory[State] = Memory()
        self._age = Age()
        self._mirroring = Mirroring(self._age)
        self._vocabulary = Vocabulary(self._mirroring)
        self._pages = Pages(self._age, self._mirroring)
        self._reading = asyncio.Lock()
        self._answers: Memory[Found] = Memory(ANSWERS_MAX)
        self._suggestions: Memory[list[str]] = Memory(SUGGESTIONS_MAX)

    async def apply(self, tx: Transaction, changes: Sequence[Change]) -> int:
        """Guarded, into every slot that must know."""
        state = await store.hold_state(tx)
        [live, *_] = await store.put(tx, state.slots, latest(changes))
        self.forget()
        return live

    async def search(self, database: Database, ask: Ask) -> Found:
        """The same question is answered anew only once something has changed."""
        state = await self._read_state(database)
        key = ask, state.live, state.change
        known = self._answers.get(key)
        if known is not None:
            return known
        found = await self._search(database, state, ask)
        return self._answers.keep(key, found, self._age.seconds) if len(found.hits) <= ANSWER_HITS_MAX else found

    async def _search(self, database: Database, state: State, ask: Ask) -> Found:
        """Strictly first; what words may mean else is asked only where that finds nothing, or next to nothing."""
        if any(text.strip() and not tokens(text) for text in (ask.text, ask.category, ask.brand)):
            return NOTHING  # signs only: no document has such a word
        counts = await self._vocabulary.counts(database, state, plan.filtered(ask.category, ask.brand))
        only = plan.filters(ask.category, ask.brand, counts, state.documents)
        asked = _Asked(ask, state, only)
        words = tokens(ask.text)
        tiers, page = await self._strictly(database, asked, words)
        if page.total == 0 and len(words) > 1:
            joined = await self._vocabulary.joined(database, state, words, perhaps=_abbreviations(words))
            if joined != list(words):
                words = tuple(joined)
                tiers, page = await self._strictly(database, asked, words)
        if words and page.total < FEW:
            tiers, page = await self._widely(database, asked, words, tiers, page)
        facets = None
        if ask.facets:
            facets = await self._pages.facets(database, asked.scope, tiers[-1].query, page)
        return Found(page.hits, page.total, page.is_exact, facets)

    async def _strictly(self, database: Database, asked: _Asked, words: Sequence[str]) -> tuple[Tiers, Page]:
        """Words taken as they are; where documents do not have them all, there is nothing to look for."""
        known = await self._vocabulary.known(
            database, asked.state, map(stem, words), perhaps=(*map(stem, joinable(words)), *_abbreviations(words))
        )
        counts = await self._vocabulary.counts(database, asked.state, plan.counted(words))
        meanings = [[known.get(stem(word), unknown(word))] for word in words]
        tiers = plan.strict(words, meanings, counts, asked.only, asked.state.documents)
        if not all(stem(word) in known for word in words):
            return tiers, NO_PAGE
        return tiers, await self._page(database, asked, tiers)

    async def _widely(
        self, database: Database, asked: _Asked, words: Sequence[str], tiers: Tiers, page: Page
    ) -> tuple[Tiers, Page]:
        """What the words may mean; and where nobody has that, all of them but one."""
        words, meanings = await self._meanings(database, asked.state, words)
        counts = await self._vocabulary.counts(database, asked.state, plan.counted(words))
        meant = plan.meant(words, meanings, counts, asked.only, asked.state.documents)
        if meant != tiers:
            tiers, page = meant, await self._page(database, asked, meant)
        if page.total == 0:
            relaxed = plan.relaxed(meanings, asked.only, asked.state.documents)
            if relaxed is not None:
                tiers, page = relaxed, await self._page(database, asked, relaxed)
        return tiers, page

    async def suggest(self, database: Database, typed: str, size: int) -> list[str]:
        """Names that begin as typed, then names with a word that does; asked anew once something has changed."""
        words = tokens(typed)
        if not words:
            return []
        state = await self._read_state(database)
        is_open = not typed[-1:].isspace()  # behind a blank the last word is whole; else it may go on
        key = words, is_open, size, state.live, state.change
        known = self._suggestions.get(key)
        if known is not None:
            return known
        suggested = await self._suggest(database, state, words, size, is_open=is_open)
        return self._suggestions.keep(key, suggested, self._age.seconds)

    async def _suggest(
        self, database: Database, state: State, words: Sequence[str], size: int, *, is_open: bool
    ) -> list[str]:
        found = await self._names(database, state, " ".join(words) + ("" if is_open else " "), size)
        if len(found) < size and is_open:
            *whole, last = words
            ends = await self._vocabulary.completions(database, state, last)
            if ends:
                tiers = plan.names_with(list(map(stem, whole)), ends[:ENDS_MAX], state.documents)
                scope = _Asked(Ask(), state, plan.filters("", "", {}, state.documents)).scope
                page = await self._pages.by_tier(database, scope, tiers, limit=NAMES_PER_SUGGESTION * size, offset=0)
                found += [_hit(hit).name for hit in page.hits]
        once: dict[tuple[str, ...], str] = {}
        for name in found:
            once.setdefault(tokens(name), name)
        return list(once.values())[:size]

    async def _names(self, database: Database, state: State, text: str, size: int) -> list[str]:
        """Names that begin so, of what is on sale."""
        mirror = self._mirroring.of(_Asked(Ask(), state, NO_FILTERS).scope)
        if mirror is None:
            return await name_store.beginning(database, state.live, text, size)
        return [_hit(hit).name for hit in islice(mirror.names_beginning(text), size)]

    def forget(self) -> None:
        """Look at the state again: it has just changed."""
        self._state = Memory()

    async def _read_state(self, database: Database) -> State:
        kept = self._state.get(None)
        if kept is not None:
            return kept
        async with self._reading:  # one reads, and whoever came meanwhile has it
            kept = self._state.get(None)
            if kept is not None:
                return kept
            state = await word_store.read_state(database)
            # Who counted has waited for all writers: what is asked soon after a start can be remembered, too.
            self._age.see(state.change, is_settled=state.is_counted)
            await self._mirroring.follow(database, state)
            return self._state.keep(None, state, STATE_S)

    async def _meanings(
        self, database: Database, state: State, words: Sequence[str]
    ) -> tuple[list[str], list[list[Known]]]:
        """What each word may mean, the likeliest first; a word that means nothing may be two."""
        meanings: list[tuple[str, list[Known]]] = []
        for number, word in enumerate(words, start=1):
            found = await self._meanings_of(database, state, word, is_last=number == len(words))
            halves = () if found else await self._vocabulary.halves(database, state, word)
            if halves:
                known = await self._vocabulary.known(database, state, map(stem, halves))
                meanings += [(half, [known[stem(half)]]) for half in halves]
            else:
                meanings.append((word, found or [unknown(word)]))
        return [word for word, _ in meanings], [found for _, found in meanings]

    async def _meanings_of(self, database: Database, state: State, word: str, *, is_last: bool) -> list[Known]:
        [short] = _abbreviations([word])
        known = await self._vocabulary.known(database, state, [stem(word), short])
        found = [known[each] for each in (stem(word), short) if each in known]
        if stem(word) not in known:
            found += await self._vocabulary.meanings(database, state, word)
        elif is_last and found[0].anywhere <= RARE:
            found += await self._vocabulary.completions(database, state, word)
        return list({each.stem: each for each in found}.values())

    async def _page(self, database: Database, asked: _Asked, tiers: Tiers) -> Page:
        ask = asked.ask
        offset = ask.page * ask.size
        if ask.sort is Sort.SCORE:
            return await self._pages.by_tier(database, asked.scope, tiers, limit=ask.size, offset=offset)
        by = ask.sort, ask.descending
        return await self._pages.by_key(database, asked.scope, tiers[-1], by, limit=ask.size, offset=offset)


def _abbreviations(words: Sequence[str]) -> list[str]:
    return [abbreviation(stem(word)) for word in words]
