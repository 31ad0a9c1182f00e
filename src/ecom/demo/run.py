"""The demo from start to end: servers, provider, shop, stock, customers, the wait, the audit, the report."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dovecote import Database
from ecom.audit import journal
from ecom.audit.evidence import Given
from ecom.audit.run import audit
from ecom.datasets import articles, completejourney
from ecom.datasets.articles import Articles
from ecom.datasets.completejourney import Basket
from ecom.demo import settling, store
from ecom.demo.customers import Customers
from ecom.demo.diary import FILE as JOURNAL
from ecom.demo.diary import Diary
from ecom.demo.display import Display
from ecom.demo.floor import NAME as SHOP
from ecom.demo.floor import Floor, open_floor
from ecom.demo.mix import CURRENCY, Mix, mix
from ecom.demo.report import Report, report
from ecom.demo.supply import fill_shop
from ecom.local import Home, Servers, servers
from ecom.local.process import is_alive, stop
from ecom.running import PROVIDER, PROVIDER_URL, provider
from ecom.serving import bind
from ecom.shop import Shop, shown

PAYMENT_TIMEOUT = timedelta(seconds=5)
# Later than the timeout and its sweep, so that a late success meets an order that has timed out.
PROVIDER_LATE = timedelta(seconds=8)
# As many orders may always be open, so that a slow shop still has batches to work on.
OPEN_MIN = 64


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; ``orders`` None stands for every basket of the year."""

    orders: int | None = 1000
    seed: int = 1
    concurrency: int = 24
    port: int = 0
    patience: timedelta = timedelta(seconds=60)


class Demo:
    """One run."""

    def __init__(self, options: Options, environ: Mapping[str, str], home: Home, display: Display) -> None:
        self._options = options
        # The books can be compared only with a provider whose ledger is here.
        self._environ = {name: value for name, value in environ.items() if name != PROVIDER_URL}
        self._home = home
        self._display = display
        self._run = secrets.token_hex(4)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Report]:
        """Do it all; the report stands, and the shop with it, until the block ends."""
        self._check_port()
        reading = asyncio.create_task(asyncio.to_thread(self._read))
        async with contextlib.AsyncExitStack() as stack:
            with self._display.step("Starting PostgreSQL and Kafka", "PostgreSQL and Kafka run"):
                on = await stack.enter_async_context(servers(self._home, self._environ))
            self._display.say(f"  [dim]{shown(on.database_url)}, Kafka {on.bootstrap}[/]")
            book = await stack.enter_async_context(self._provider(on))
            with self._display.step("Opening the shop", "The shop is open"):
                shop = Shop.all(self._environ, prefix=self._prefix(on))
                if shop.prefix:
                    stack.push_async_callback(shop.drop, on.database_url, on.bootstrap)
                floor = await stack.enter_async_context(open_floor(shop, on, port=self._options.port or None))
            self._display.say(f"  [dim]{floor.url}[/]")
            baskets, products = await reading
            plan = mix(baskets, seed=self._options.seed)
            # A part of the year needs its part of the catalogue, the whole year all of it.
            wanted = products.only(plan.stock) if self._options.orders else products
            lines = sum(len(each.basket.lines) for each in plan.plans)
            self._display.tick(f"{len(plan.plans):,} baskets of {lines:,} lines, as they were really bought")
            yield await self._trade(floor, on, plan, wanted, book)

    def _check_port(self) -> None:
        """A taken port is told before anything starts; a shop left over from a killed run is ours to stop."""
        port, left = self._options.port, self._home.record(SHOP)
        if port and not (left is not None and left.port == port and is_alive(left)):
            bind("127.0.0.1", port).close()

    async def _trade(self, floor: Floor, on: Servers, plan: Mix, products: Articles, book: Path) -> Report:
        services = floor.services
        orders = services["order"].database
        found = int(await orders.fetchval(store.COUNT_ALL))
        if found:
            waiting = await settling.count_open(orders)
            self._display.say(f"  [dim]{found:,} orders were here before, {waiting:,} of them open[/]")
        await fill_shop(services, products, plan.stock, bootstrap=on.bootstrap, display=self._display)
        written, patience = self._home.path / JOURNAL, self._options.patience.total_seconds()
        with contextlib.closing(Diary(written, self._run)) as diary:
            customers = Customers(floor.url, self._run, self._options.concurrency, patience, diary)
            await self._look_around(customers, products)
            since = orders.now
            await self._place(customers, orders, plan, found)
        with self._display.waiting("Waiting for money, mail and stock to come to rest"):
            quiet = await settling.until_quiet(services.values(), bootstrap=on.bootstrap)
        self._display.tick("Money, mail and stock are at rest", well=quiet)
        with self._display.step("Comparing the books", "The books are compared"):
            given = Given(journal=tuple(journal.read(written)))
            findings = await audit(services.values(), bootstrap=on.bootstrap, book=book, quiesced=True, given=given)
        return await report(services, since=since, findings=findings, products=len(products), refused=customers.refused)

    async def _look_around(self, customers: Customers, products: Articles) -> None:
        """Search for what is bought most, as the first customer does."""
        wanted = next(iter(products)).name.lower()
        hit = await customers.find(wanted)
        found = f"{hit.name} at {hit.price} {CURRENCY}" if hit else "nothing"
        self._display.say(f"  [dim]{wanted!r} finds {found}[/]")

    async def _place(self, customers: Customers, database: Database, plan: Mix, found: int) -> None:
        """Place all orders and see every one to its end."""
        with self._display.orders(len(plan.plans), found) as bars:
            door = settling.Door(
                database, orders=lambda: found + customers.placed, open_min=OPEN_MIN, on_look=bars.look
            )
            watch = asyncio.create_task(door.watch())
            try:
                await customers.place_all(plan.plans, may_enter=lambda: door.entry, on_placed=bars.placed)
                final = await settling.until_final(database)
            finally:
                watch.cancel()
        self._display.tick(f"{customers.placed:,} orders were placed, and every order is final", well=final)
        if customers.refused:
            self._display.tick(f"{customers.refused:,} of them had an old price first, and were refused with it")

    @contextlib.asynccontextmanager
    async def _provider(self, on: Servers) -> AsyncIterator[Path]:
        """Start the payment provider; gives the folder of its ledger, which the audit reads."""
        folder = self._home.path / (self._prefix(on) + PROVIDER)
        if self._prefix(on):
            # One left over from another run keeps another book.
            left = self._home.record(PROVIDER)
            if left is not None and is_alive(left):
                await stop(left, grace_s=5.0)
        late = str(PROVIDER_LATE.total_seconds())
        options = ("--home", str(folder), "--seed", str(self._options.seed), "--late-seconds", late)
        async with provider(on, self._environ, *options) as url:
            self._environ |= {PROVIDER_URL: url, **_settings()}
            yield folder
        if self._prefix(on):
            shutil.rmtree(folder, ignore_errors=True)

    def _prefix(self, on: Servers) -> str:
        """On the user's own servers, everything we make carries this run's name."""
        return f"demo_{self._run}_" if on.postgres is None or on.kafka is None else ""

    def _read(self) -> tuple[Sequence[Basket], Articles]:
        cache = self._home.path / "cache"
        year = completejourney.load(cache)
        baskets = list(year.baskets(self._options.orders or len(year), seed=self._options.seed))
        return baskets, articles.products(cache)


def _settings() -> dict[str, str]:
    """What the demo asks of the shop: patience of seconds instead of minutes."""
    return {"APP_SAGA_PAYMENTTIMEOUT": f"PT{PAYMENT_TIMEOUT.total_seconds():.0f}S"}
