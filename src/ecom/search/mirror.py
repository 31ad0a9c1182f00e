"""The index in a process's own memory: which documents have a lexeme, as sets, and the hits themselves.

PostgreSQL's index remains the one that counts. A mirror answers what is asked most (what is on sale, best first, at
any price) without asking it: 0.35 ms of CPU in place of 1.7 for a query of the bench, and none is slow, so that nobody
waits behind a slow one. Documents are numbered in the order of their places, so that the first of a set are the first
of its tier. What is written later is numbered behind them, and sorted in.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from operator import eq

from dovecote.database import Database, Record
from ecom.search import mirror_store
from ecom.search.bitmap import bitmap, numbers
from ecom.search.domain import FOLDED_MAX, Field, place
from ecom.search.lexicon import Lexicon, TooLarge
from ecom.search.matching import matching
from ecom.search.plan import EVERYTHING, Known, Tier
from ecom.search.word_store import RANGE_END

DOCUMENTS_MAX = 150_000
"""Documents on sale, above which they are left to PostgreSQL: 68,000 take 40 MB of memory and 2 s of CPU to read."""
LATE_MAX = 1_000
"""Documents written since it was made, above which a mirror is made anew: taking up one costs 10 µs."""
LATE_WORDS_MAX = 5_000
CHUNK = 100
"""Documents read at once: they hold the loop for 2 ms."""
PACKED_SHARE = 512
"""A lexeme of fewer than one in so many documents is kept as their numbers, 4 bytes each, and unpacked in 10 µs; of
more it is a set, 8.5 kB each and 10 MB for all 1,150 here. At one in 32, unpacking was half of a query's CPU."""
UNPACKED_MAX = 200
_PLACES = (Field.PLACE_COARSE, Field.PLACE, Field.PLACE_FINE)


class OutOfDate(Exception):
    """More was written than a mirror takes up."""


class Mirror:
    """One slot's documents on sale. Make it with ``await Mirror.of(…)``; ``follow`` keeps it as new as it is then."""

    def __init__(self, slot: str, moment: int, places: array[int], lexicon: Lexicon) -> None:
        self.slot = slot
        self.lexicon = lexicon
        self._moment = moment
        self._places = places
        self._count = len(places)
        self._all = (1 << self._count) - 1
        self._kept = self._all  # those of the first read that are still so
        self._alive = self._all
        self._hits: list[str] = [""] * self._count
        self._lexemes: dict[str, bytes | int] = {}
        self._unpacked: dict[str, int] = {}
        self._names: list[str] = []
        self._late: list[int] = []  # places of what was written later, by number
        self._late_alive = 0
        self._late_lexemes: dict[str, int] = {}
        self._late_names: list[str] = []
        self._late_words: dict[str, Known] = {}
        self._written: dict[str, tuple[int, int | None]] = {}  # of what was written later: by whom, and its number

    @classmethod
    async def of(cls, database: Database, slot: str) -> Mirror:
        """Read a slot. Raises OutOfDate where more is written meanwhile than a mirror takes up, and TooLarge."""
        moment = await mirror_store.read_moment(database)
        places = array("q", await mirror_store.read_places(database, slot))
        if sys.byteorder == "little":
            places.byteswap()
        if len(places) > DOCUMENTS_MAX:
            raise TooLarge("There are too many documents to hold.")
        if any(map(eq, places, islice(places, 1, None))):
            raise OutOfDate("Two products have one place.")  # never seen: a place has 63 bits
        mirror = cls(slot, moment, places, await Lexicon.of(database, slot))
        await mirror._fill(database)
        await mirror.follow(database)
        return mirror

    async def _fill(self, database: Database) -> None:
        gathered: dict[str, array[int]] = {}
        after = ""
        names = set[str]()
        while rows := await mirror_store.read_documents(database, self.slot, after, CHUNK):
            for row in rows:
                number = bisect_left(self._places, row["place"])
                if number == self._count or self._places[number] != row["place"]:
                    continue  # it was not on sale a moment ago: it comes with what was written since
                self._hits[number] = row["hit"]
                names.add(row["folded"])
                for lexeme in _lexemes(row):
                    kept = gathered.get(lexeme)
                    if kept is None:
                        gathered[lexeme] = kept = array("I")
                    kept.append(number)
            after = rows[-1]["product_id"]
        self._names = sorted(names)
        while gathered:
            for lexeme, found in [gathered.popitem() for _ in range(min(len(gathered), 20 * CHUNK))]:
                is_set = len(found) * PACKED_SHARE > self._count
                self._lexemes[lexeme] = bitmap(found, self._count) if is_set else found.tobytes()
            await asyncio.sleep(0)

    async def follow(self, database: Database) -> None:
        """Take up what was written since. Raises OutOfDate where that is too much."""
        since = await mirror_store.read_since(database, self.slot, self._moment, LATE_MAX + 1, LATE_WORDS_MAX + 1)
        if len(since.documents) > LATE_MAX or len(since.words) > LATE_WORDS_MAX:
            raise OutOfDate("Much was written.")
        self._late_words.update(since.words)
        self.lexicon.take_up(self._late_words)
        for row in since.documents:
            known = self._written.get(row["product_id"])
            if known is None or known[0] != row["written"]:
                self._take_up(row, known)
        self._alive = self._kept | self._late_alive << self._count
        if len(self._late) > LATE_MAX or len(self._late_words) > LATE_WORDS_MAX:
            raise OutOfDate("Much was written.")
        self._moment = since.moment

    async def count_anew(self, database: Database) -> None:
        """Learn the vocabulary anew, with its counts. Raises TooLarge."""
        lexicon = await Lexicon.of(database, self.slot)
        lexicon.take_up(self._late_words)  # it may have been read before these were written
        self.lexicon = lexicon

    def _take_up(self, row: Record, known: tuple[int, int | None] | None) -> None:
        """What is known of this document is no more; what it is like now comes in its place."""
        if known is not None:
            if known[1] is not None:
                self._late_alive &= ~(1 << known[1])
        else:
            there = place(row["product_id"])  # a tombstone's row has none
            at = bisect_left(self._places, there)
            if at < self._count and self._places[at] == there:
                self._kept &= ~(1 << at)
        number = None
        if row["is_shown"]:
            number = len(self._late)
            self._late.append(row["place"])
            self._hits.append(row["hit"])
            self._late_alive |= 1 << number
            for lexeme in _lexemes(row):
                self._late_lexemes[lexeme] = self._late_lexemes.get(lexeme, 0) | 1 << number
            name = row["folded"]
            at = bisect_left(self._late_names, name)
            if self._late_names[at : at + 1] != [name]:
                self._late_names.insert(at, name)
        self._written[row["product_id"]] = row["written"], number

    def page(self, tiers: Sequence[Tier], *, limit: int, offset: int) -> tuple[int, Sequence[str]]:
        """How many documents there are in all tiers, and a page of them."""
        everything = self._matching(tiers[-1].covers)
        total = everything.bit_count()
        ordered: list[int] = []
        for tier in tiers[:-1]:
            if not everything or len(ordered) >= offset + limit:
                break
            found = self._matching(tier.query) & everything
            ordered += islice(self._ordered(found), offset + limit - len(ordered))
            everything ^= found
        ordered += islice(self._ordered(everything), max(offset + limit - len(ordered), 0))
        return total, [self._hits[number] for number in ordered[offset:]]

    def names_beginning(self, text: str) -> Iterator[str]:
        """Hits with names that begin with a folded text: of each name the first, in the order of names."""
        last = ""
        for name in merge(_beginning(self._names, text), _beginning(self._late_names, text)):
            if name != last:
                last = name
                for number in self._ordered(self._having(_named(name)) & self._alive):
                    yield self._hits[number]
                    break

    def _matching(self, query: str) -> int:
        return self._alive if query == EVERYTHING else matching(query, self._having) & self._alive

    def _having(self, lexeme: str) -> int:
        """The documents that have a lexeme, and some that had it."""
        kept = self._lexemes.get(lexeme, 0)
        found = kept if isinstance(kept, int) else self._unpack(lexeme, kept)
        late = self._late_lexemes.get(lexeme)
        return found if late is None else found | late << self._count

    def _unpack(self, lexeme: str, packed: bytes) -> int:
        """The numbers as a set; the tiers of a query ask for the same ones again and again."""
        found = self._unpacked.get(lexeme)
        if found is None:
            if len(self._unpacked) == UNPACKED_MAX:
                self._unpacked.clear()
            found = self._unpacked[lexeme] = bitmap(memoryview(packed).cast("I"), self._count)
        return found

    def _ordered(self, found: int) -> Iterator[int]:
        """Documents in the order of their places."""
        late = found >> self._count
        if not late:
            return numbers(found)
        early = numbers(found & self._all)
        return merge(early, sorted((self._count + each for each in numbers(late)), key=self._place), key=self._place)

    def _place(self, number: int) -> int:
        return self._places[number] if number < self._count else self._late[number - self._count]


def _lexemes(row: Record) -> Iterable[str]:
    """A document's lexemes, but for its places; and its name, where that is too long to be one."""
    for lexeme in row["lexemes"].split(" "):
        if not lexeme.startswith(_PLACES):
            yield lexeme
    if len(row["folded"]) >= FOLDED_MAX:
        yield _named(row["folded"])


def _named(folded: str) -> str:
    return Field.WHOLE + folded.replace(" ", "_")


def _beginning(names: Sequence[str], text: str) -> Iterator[str]:
    for at in range(bisect_left(names, text), bisect_left(names, text + RANGE_END)):
        yield names[at]
