"""The index in PostgreSQL: lexemes in a GIN index, names, prices and dates in B-trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from dovecote.database import Database, Transaction
from ecom.search import name_store, plan, store, word_store
from ecom.search.domain import Ask, Change, Found, Hit, Sort, latest
from ecom.search.page_store import Scope
from ecom.search.pages import Page, Pages
from ecom.search.plan import Known, Tiers
from ecom.search.vocabulary import Memory, Vocabulary, unknown
from ecom.search.words import stem, tokens

STATE_S = 1.0
FEW = 3
"""Matches below which the last word may also be the beginning of another."""
ENDS_MAX = 5
NAMES_PER_SUGGESTION = 3
"""Products looked at for each suggestion wanted: several may have the same name."""
NO_PAGE = Page((), 0, is_exact=True)
NOTHING = Found((), 0, is_exact=True)
_hit = msgspec.json.Decoder(Hit).decode


@dataclass(frozen=True, slots=True)
class State:
    """Which slot serves, and about how many documents it has."""

    live: str
    documents: int


class PostgresIndex:
    """See `ecom.search.index.Index`. What it remembers, it remembers for seconds."""

    def __init__(self) -> None:
        self._state: Memory[State] = Memory()
        self._vocabulary = Vocabulary()
        self._pages = Pages()

    async def apply(self, tx: Transaction, changes: Sequence[Change]) -> int:
        """Guarded, into every slot that must know."""
        state = await store.hold_state(tx)
        [live, *_] = await store.put(tx, state.slots, latest(changes))
        return live

    async def search(self, database: Database, ask: Ask) -> Found:
        """Strictly first; what words may mean else is asked only where that finds nothing, or next to nothing."""
        if any(text.strip() and not tokens(text) for text in (ask.text, ask.category, ask.brand)):
            return NOTHING  # signs only: no document has such a word
        state = await self._read_state(database)
        words, filtered = tokens(ask.text), tokens(f"{ask.category} {ask.brand}")
        known = await self._vocabulary.known(database, state.live, list(map(stem, (*words, *filtered))))
        only = plan.filters(
            ask.category, ask.brand, [known.get(stem(each), unknown(each)) for each in filtered], state.documents
        )
        meanings = [[known.get(stem(word), unknown(word))] for word in words]
        tiers = plan.strict(words, meanings, only, state.documents)
        page = NO_PAGE
        if all(meaning[0].stem in known for meaning in meanings):
            page = await self._page(database, state, tiers, ask)
        if words and page.total < FEW:
            meanings = [await self._meanings(database, state, word, known, is_last=word is words[-1]) for word in words]
            for wider in (
                plan.meant(words, meanings, only, state.documents),
                plan.relaxed(meanings, only, state.documents),
            ):
                if wider is not None and wider != tiers and (page.total == 0 or wider.exact):
                    tiers = wider
                    page = await self._page(database, state, tiers, ask)
        return await self._found(database, state, tiers, page, ask)

    async def suggest(self, database: Database, typed: str, size: int) -> list[str]:
        """Names that begin as typed, then names with a word that does."""
        words = tokens(typed)
        if not words:
            return []
        state = await self._read_state(database)
        # Behind a blank the last word is whole; else it may go on.
        beginning = " ".join(words) + (" " if typed[-1:].isspace() else "")
        found = await name_store.beginning(database, state.live, beginning, size)
        if len(found) < size and not typed[-1:].isspace():
            *whole, last = words
            ends = await self._vocabulary.completions(database, state.live, last)
            if ends:
                tiers = plan.names_with(list(map(stem, whole)), ends[:ENDS_MAX], state.documents)
                scope = Scope(state.live, active_only=True, price_min=None, price_max=None)
                page = await self._pages.by_tier(database, scope, tiers, limit=NAMES_PER_SUGGESTION * size, offset=0)
                found += [_hit(hit).name for hit in page.hits]
        return list({" ".join(tokens(name)): name for name in reversed(found)}.values())[::-1][:size]

    def forget(self) -> None:
        """Look again which slot serves: it has just changed."""
        self._state = Memory()

    async def _read_state(self, database: Database) -> State:
        kept = self._state.get(None)
        if kept is not None:
            return kept
        return self._state.keep(None, State(*await word_store.read_state(database)), STATE_S)

    async def _meanings(
        self, database: Database, state: State, word: str, known: dict[str, Known], *, is_last: bool
    ) -> list[Known]:
        itself = known.get(stem(word))
        if itself is None:
            return await self._vocabulary.meanings(database, state.live, word) or [unknown(word)]
        if not is_last:
            return [itself]
        completions = await self._vocabulary.completions(database, state.live, word)
        return [itself, *(each for each in completions if each.stem != itself.stem)]

    async def _page(self, database: Database, state: State, tiers: Tiers, ask: Ask) -> Page:
        scope = _scope(state, ask)
        offset = ask.page * ask.size
        if ask.sort is Sort.SCORE:
            return await self._pages.by_tier(database, scope, tiers, limit=ask.size, offset=offset)
        by = ask.sort, ask.descending
        return await self._pages.by_key(database, scope, tiers.tiers[-1], by, limit=ask.size, offset=offset)

    async def _found(self, database: Database, state: State, tiers: Tiers, page: Page, ask: Ask) -> Found:
        facets = None
        if ask.facets:
            facets = await self._pages.facets(database, _scope(state, ask), tiers.tiers[-1].query, page)
        return Found(page.hits, page.total, page.is_exact, facets)


def _scope(state: State, ask: Ask) -> Scope:
    return Scope(state.live, ask.active_only, ask.price_min, ask.price_max)
