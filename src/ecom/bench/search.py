"""A catalogue from its import until all of it is found, and then shoppers who search it over HTTP."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from urllib.parse import quote_plus, urlsplit

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.ids import new_trace_id
from dovecote.schedule import JobContext
from dovecote.service import Service
from dovecote.sql import Sql
from ecom.bench import catalogue
from ecom.bench.cpu import family_cpu_s
from ecom.bench.load import Ask, Plan, Seen, in_a_process
from ecom.bench.queries import Shoppers
from ecom.catalogue.pace import Pace
from ecom.datasets.articles import Article
from ecom.local import Servers
from ecom.product.catalogue import put
from ecom.product.domain import Product
from ecom.running import Running
from ecom.search.mirroring import DOCUMENTS_MIN

TOGETHER = 1_000
WARM_S = 1.0
# The first search of a process lets it read a large index into its memory, beside the searches: time for that, with few
# questions, so that the answers of the others are not remembered.
READING_S = 8.0
WARMING = 10
DRAWN = 20_000
# What every answer costs here before anything is searched: HTTP, and a statement that does nothing on each database.
FLOOR = (Ask("floor", "/readyz"),)
LOOK_S = 0.1
# So slow an import is no import any more.
RATE_MIN = 200
GRACE_S = 60.0

SEARCHABLE = Sql("SELECT count(*) FROM document WHERE slot = (SELECT live FROM index_state) AND NOT deleted")


@dataclass(frozen=True)
class Spent:
    """CPU seconds: of this process (all services), of the embedded servers, and of the load's own process."""

    services: float
    postgres: float
    kafka: float
    load: float = 0.0


@dataclass(frozen=True)
class Part:
    """One kind of request, asked by all clients for some time."""

    seen: Seen
    spent: Spent


@dataclass(frozen=True)
class Stage:
    """A catalogue of one size: how it came in, and what its search is like."""

    products: int  # searchable at the end
    imported: int  # in this stage
    put_s: float  # until the last was committed by the product service
    import_s: float  # until the last was searchable
    import_spent: Spent
    floor: Part
    queries: Part
    autocomplete: Part
    rss_mb: int

    @property
    def rate_per_s(self) -> float:
        """Products a second from the first put until all were searchable."""
        return self.imported / self.import_s


@dataclass(frozen=True)
class Bench:
    """A running shop of product and search, and how it is to be asked."""

    here: Running
    servers: Servers
    clients: int
    seconds: float
    seed: int

    async def run(self, articles: Sequence[Article], *, times: int) -> list[Stage]:
        """Import and ask; with `times`, grow the same shop's catalogue by as many copies and ask the same again.

        Raises TimeoutError where the products do not become searchable.
        """
        shoppers = Shoppers(articles, seed=self.seed)
        queries, prefixes = shoppers.queries(DRAWN), shoppers.prefixes(DRAWN)
        stages = [await self._stage(catalogue.products(articles), 0, queries, prefixes)]
        if times > 1:
            more = catalogue.copies(articles, times=times, seed=self.seed)
            stages.append(await self._stage(more, stages[0].products, queries, prefixes))
        return stages

    async def _stage(
        self,
        products: Iterable[Product],
        before: int,
        queries: Sequence[tuple[str, str]],
        prefixes: Sequence[tuple[str, str]],
    ) -> Stage:
        spent, began = self._spent(), time.perf_counter()
        imported = await _put(self.here.services["product"].database, products)
        put_s = time.perf_counter() - began
        await _until_searchable(self.here.services["search"], before + imported, began)
        import_s, import_spent = time.perf_counter() - began, self._since(spent)
        await _jobs(self.here.services["search"])
        questions = [Ask(kind, f"/api/search/products?q={quote_plus(text)}") for kind, text in queries]
        if before + imported >= DOCUMENTS_MIN:
            await asyncio.to_thread(in_a_process, self._plan(questions[-WARMING:], READING_S))
        floor = await self._ask(FLOOR)
        asked = await self._ask(questions)
        typed = await self._ask(
            [Ask(kind, f"/api/search/autocomplete?q={quote_plus(text)}") for kind, text in prefixes]
        )
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return Stage(before + imported, imported, put_s, import_s, import_spent, floor, asked, typed, rss_mb)

    async def _ask(self, requests: Sequence[Ask]) -> Part:
        plan = self._plan(requests, self.seconds)
        await asyncio.to_thread(in_a_process, self._plan(requests, WARM_S))
        spent = self._spent()
        seen = await asyncio.to_thread(in_a_process, plan)
        since = self._since(spent)
        return Part(seen, replace(since, load=seen.cpu_s))

    def _plan(self, requests: Sequence[Ask], seconds: float) -> Plan:
        address = urlsplit(self.here.url)
        return Plan(address.hostname or "", address.port or 0, self.clients, seconds, requests)

    def _spent(self) -> Spent:
        postgres, kafka = (
            family_cpu_s(child.record.pid) if child else 0.0 for child in (self.servers.postgres, self.servers.kafka)
        )
        return Spent(time.process_time(), postgres, kafka)

    def _since(self, before: Spent) -> Spent:
        now = self._spent()
        return Spent(now.services - before.services, now.postgres - before.postgres, now.kafka - before.kafka)


async def _put(database: Database, products: Iterable[Product]) -> int:
    """Put the products as an import does: a thousand to a transaction, no faster than the relay."""
    pace, because = Pace(database), Cause(new_trace_id())
    rest, count = iter(products), 0
    while batch := list(islice(rest, TOGETHER)):
        await pace.admit(len(batch))
        async with database.transaction() as tx:
            await put(tx, batch, because=because)
        count += len(batch)
    return count


async def _until_searchable(search: Service, expected: int, began: float) -> None:
    """Wait for the index to hold all; it is counted only when nothing more is on its way, for counting costs."""
    limit_s = GRACE_S + expected / RATE_MIN
    found = -1
    while found < expected:
        if time.perf_counter() - began > limit_s:
            raise TimeoutError(f"Only {found:,} of {expected:,} products are searchable after {limit_s:.0f} s.")
        await asyncio.sleep(LOOK_S)
        if await search.lag() == 0:
            found = await search.database.fetchval(SEARCHABLE)


async def _jobs(service: Service) -> None:
    """What the service does for its index every few seconds, done now: the figures are those of a settled index.

    Twice, for a job that waits for quiet must have seen that nothing was written since it last looked.
    """
    for job in [*service.blueprint.jobs, *service.blueprint.jobs]:
        await job.run(JobContext(service.database, service.lag))
