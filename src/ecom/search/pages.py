"""Pages of an answer: how to get one at the least cost. Whatever the way, the page is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from dovecote.database import Database
from ecom.search import page_store, walk_store
from ecom.search.domain import Count, Sort
from ecom.search.memory import Age, Memory
from ecom.search.mirroring import Mirroring
from ecom.search.page_store import TIERS_MAX, Scope
from ecom.search.plan import EVERYTHING, Tier, Tiers, first_places

TOTAL_MAX = 1_000
"""Matches are counted up to here; above it the total says so. Each match that is counted is a visit to a page of the
table: up to 10,000 a query took PostgreSQL 1.6 ms in place of 1.2, and 15.7 in place of 6.8 at ten times that size."""
SORTED_MAX = 400
"""Matches up to which all are fetched and sorted, where it is known how many there are; more are sampled."""
LOOKED_AT_MAX = 1_000
"""Where they would have to be counted as well, fetching all costs less up to here; it stops here."""
UNBELIEVABLE = 1_500
"""A mere guess is believed from here on."""
NARROW_MAX = 120
"""Guessed matches of a tier above which it is sampled."""
NARROW_LOOKED_AT_MAX = 600
"""The tiers before the sampled one are fetched whole; where they turn out larger than that, the guess was wrong."""
SURE = 2.0
"""A sample that makes it so many times TOTAL_MAX stands for a count."""
SURE_ROWS = 32
SAMPLED_FOR = 1.5
SAMPLED_AT_LEAST = 20
"""Rows wanted of a sample for each row of the page and besides, so that it is rarely too small."""
SHARE_MAX = 0.375
"""The largest sample there is."""
TRIES_MAX = 4
EVERYTHING_ELSE = 2**60
WALK_ROWS_MAX = 20_000
SIZE_S = 30.0
FACETED_MAX = 10_000
"""Matches up to which facets are counts; of more, they are estimates."""
FACET_VALUES_MAX = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Hits of one page, and how many there are on all."""

    hits: Sequence[str]
    total: int
    is_exact: bool


class Pages:
    """Makes pages; remembers counts until something changes, and what tiers turned out to be larger than guessed."""

    def __init__(self, age: Age, mirroring: Mirroring) -> None:
        self._mirroring = mirroring
        self._counts: Memory[int] = Memory()
        self._sizes: Memory[int] = Memory()
        self._facets: Memory[dict[str, Sequence[Count]]] = Memory()
        self._age = age

    async def by_tier(self, database: Database, scope: Scope, tiers: Tiers, *, limit: int, offset: int) -> Page:
        """A page in the order of tiers."""
        mirror = self._mirroring.of(scope)
        if mirror is not None:
            total, hits = mirror.page(tiers, limit=limit, offset=offset)
            return _page(hits, total)
        fitting = _fitting(tiers)
        if self._may_be_sorted(scope, fitting):
            counts, hits = await page_store.sorted_page(
                database, scope, fitting, most=LOOKED_AT_MAX + 1, limit=limit, offset=offset
            )
            total = sum(counts)
            self._learn_all(scope, fitting, counts, max(fitting[-1].size / total, 2.0) if total > LOOKED_AT_MAX else 1)
            if total <= LOOKED_AT_MAX or total > TOTAL_MAX:  # all of them, or more than are ever counted
                self._keep_count(scope, fitting[-1].query, total)
            if total <= LOOKED_AT_MAX:
                return _page(hits, total)
        page = await self._sampled(database, scope, fitting, limit=limit, offset=offset)
        if page is not None:
            return page
        counts, hits = await page_store.sorted_page(
            database, scope, fitting, most=EVERYTHING_ELSE, limit=limit, offset=offset
        )
        self._learn_all(scope, fitting, counts, 1)
        return _page(hits, sum(counts))

    async def _sampled(
        self, database: Database, scope: Scope, tiers: Sequence[Tier], *, limit: int, offset: int
    ) -> Page | None:
        """A page without looking at every match; None where that is not to be had."""
        need = offset + limit
        wanted = SAMPLED_FOR * need + SAMPLED_AT_LEAST
        # A tier that would have to be sampled in large part is fetched whole.
        narrow_max = min(max(NARROW_MAX, wanted / SHARE_MAX), NARROW_LOOKED_AT_MAX)
        wide = next((i for i, each in enumerate(tiers) if self._size(scope, each) > narrow_max), len(tiers) - 1)
        share = wanted / max(self._size(scope, tiers[wide]), 1)
        total = self._total(scope, tiers[-1])
        to_count = TOTAL_MAX + 1 if total is None and self._size(scope, tiers[-1]) < SURE * TOTAL_MAX else 0
        for _ in range(TRIES_MAX):
            places = first_places(share)
            if places is None:
                return None
            lexemes, share = places
            query = tiers[wide].query
            found = await page_store.sampled_page(
                database,
                scope,
                tiers[:wide],
                lexemes if query == EVERYTHING else f"({query}) & {lexemes}",
                most=NARROW_LOOKED_AT_MAX + 1,
                count=(tiers[-1].query, to_count),
                limit=limit,
                offset=offset,
            )
            if to_count:
                total = self._keep_count(scope, tiers[-1].query, found.total)
                to_count = 0
            if found.narrow > NARROW_LOOKED_AT_MAX:
                wide -= 1
                self._learn(scope, tiers[wide], 2 * NARROW_LOOKED_AT_MAX)
                share = wanted / (2 * NARROW_LOOKED_AT_MAX)
                continue
            guess = found.narrow + round(found.wide / share)
            self._learn(scope, tiers[wide], guess)
            if found.narrow + found.wide >= need:
                if found.wide >= SURE_ROWS and guess >= SURE * TOTAL_MAX:
                    return Page(found.hits, TOTAL_MAX, is_exact=False)
                if total is None:
                    total = await self._count(database, scope, tiers[-1].query)
                return _page(found.hits, max(total, offset + len(found.hits)))
            if guess < narrow_max and wide + 1 < len(tiers):
                wide += 1
                share = wanted / max(self._size(scope, tiers[wide]), 1)
            else:
                share = min(8 * share, wanted / max(guess - found.narrow, 1))
        return None

    def _may_be_sorted(self, scope: Scope, tiers: Sequence[Tier]) -> bool:
        """Whether to fetch all matches and sort them. A mere guess at many is tried before it is believed."""
        known = [self._sizes.get(_matches(scope, tier)) or (tier.size if tier.is_counted else 0) for tier in tiers]
        most = LOOKED_AT_MAX if self._total(scope, tiers[-1]) is None else SORTED_MAX
        return max(known) <= most and tiers[-1].size <= UNBELIEVABLE

    def _total(self, scope: Scope, widest: Tier) -> int | None:
        """How many match, if that is known without counting."""
        if scope.takes_counts and widest.is_counted:
            return widest.size
        return self._counts.get((scope, widest.query))

    async def by_key(
        self, database: Database, scope: Scope, lexemes: Tier, by: tuple[Sort, bool], *, limit: int, offset: int
    ) -> Page:
        """A page in the order of a key."""
        size = self._size(scope, lexemes)
        if size > LOOKED_AT_MAX:
            need = offset + limit
            everything = lexemes.query == EVERYTHING
            walked = await walk_store.walk(
                database,
                scope,
                "" if everything else lexemes.query,
                by,
                rows=min(WALK_ROWS_MAX, max(4 * need, 5_000)),
                wanted=need,
            )
            if len(walked) == need:
                total = await self._count(database, scope, lexemes.query)
                return _page(walked[offset:], max(total, need))
        total, hits = await walk_store.sorted_page(
            database, scope, lexemes.query, by, most=EVERYTHING_ELSE, limit=limit, offset=offset
        )
        self._learn(scope, lexemes, total)
        return _page(hits, total)

    async def facets(self, database: Database, scope: Scope, lexemes: str, page: Page) -> dict[str, Sequence[Count]]:
        """How many matches each category and brand has; where there are too many to count, an estimate."""
        key = (scope, lexemes)
        kept = self._facets.get(key)
        if kept is not None:
            return kept
        if page.is_exact or await page_store.count(database, scope, lexemes, FACETED_MAX + 1) <= FACETED_MAX:
            found = await page_store.facets(database, scope, lexemes, FACET_VALUES_MAX)
            return self._facets.keep(key, found, self._age.seconds)
        places = first_places(SHARE_MAX)
        if places is None:
            raise AssertionError("a quarter of all places is a sample")
        sample, share = places
        query = sample if lexemes == EVERYTHING else f"({lexemes}) & {sample}"
        found = {
            facet: [Count(each.value, round(each.count / share)) for each in values]
            for facet, values in (await page_store.facets(database, scope, query, FACET_VALUES_MAX)).items()
        }
        return self._facets.keep(key, found, self._age.seconds)

    async def _count(self, database: Database, scope: Scope, lexemes: str) -> int:
        kept = self._counts.get((scope, lexemes))
        if kept is not None:
            return kept
        counted = await page_store.count(database, scope, lexemes, TOTAL_MAX + 1)
        return self._keep_count(scope, lexemes, counted)

    def _keep_count(self, scope: Scope, lexemes: str, counted: int) -> int:
        return self._counts.keep((scope, lexemes), counted, self._age.seconds)

    def _size(self, scope: Scope, tier: Tier) -> int:
        learnt = self._sizes.get(_matches(scope, tier))
        return tier.size if learnt is None else learnt

    def _learn_all(self, scope: Scope, tiers: Sequence[Tier], counts: Sequence[int], times: float) -> None:
        """What was found of each tier, and how much more of it there may be."""
        for tier, size in zip(tiers, accumulate(counts), strict=True):
            self._learn(scope, tier, round(times * size))

    def _learn(self, scope: Scope, tier: Tier, size: int) -> None:
        self._sizes.keep(_matches(scope, tier), size, SIZE_S)


def _matches(scope: Scope, tier: Tier) -> object:
    """What a size is learnt of: as good as it was, after some changes more."""
    return scope.arguments, tier.query


def _page(hits: Sequence[str], total: int) -> Page:
    return Page(hits, min(total, TOTAL_MAX), is_exact=total <= TOTAL_MAX)


def _fitting(tiers: Sequence[Tier]) -> Sequence[Tier]:
    """As many tiers as the statements know; the widest stays, and so do the first."""
    return tiers if len(tiers) <= TIERS_MAX else [*tiers[: TIERS_MAX - 1], tiers[-1]]
