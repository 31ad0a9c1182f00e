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

from dovecote import Cause, Service
from dovecote.ids import new_trace_id
from ecom.audit.run import audit
from ecom.datasets import completejourney
from ecom.datasets.completejourney import Basket
from ecom.demo import settling, store
from ecom.demo.customers import Customers
from ecom.demo.display import Display
from ecom.demo.floor import NAME as SHOP
from ecom.demo.floor import Floor, open_floor
from ecom.demo.mix import Mix, mix
from ecom.demo.report import Report, report
from ecom.inventory import store as inventory
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
STOCK_BATCH = 2_000


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
        baskets = asyncio.create_task(asyncio.to_thread(self._baskets))
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
            plan = mix(await baskets, seed=self._options.seed)
            lines = sum(len(each.basket.lines) for each in plan.plans)
            self._display.tick(f"{len(plan.plans):,} baskets of {lines:,} lines, as they were really bought")
            yield await self._trade(floor, on, plan, book)

    def _check_port(self) -> None:
        """A taken port is told before anything starts; a shop left over from a killed run is ours to stop."""
        port, left = self._options.port, self._home.record(SHOP)
        if port and not (left is not None and left.port == port and is_alive(left)):
            bind("127.0.0.1", port).close()

    async def _trade(self, floor: Floor, on: Servers, plan: Mix, book: Path) -> Report:
        services = floor.services
        orders = services["order"].database
        found = int(await orders.fetchval(store.COUNT_ALL))
        if found:
            waiting = await settling.count_open(orders)
            self._display.say(f"  [dim]{found:,} orders were here before, {waiting:,} of them open[/]")
        with self._display.step("Filling the shelves", f"{len(plan.stock):,} SKUs are in stock"):
            await self._stock(services["inventory"], plan.stock)
        since = orders.now
        await self._place(floor, plan, found)
        with self._display.waiting("Waiting for money, mail and stock to come to rest"):
            quiet = await settling.until_quiet(services.values(), bootstrap=on.bootstrap)
        self._display.tick("Money, mail and stock are at rest", well=quiet)
        with self._display.step("Comparing the books", "The books are compared"):
            findings = await audit(services.values(), bootstrap=on.bootstrap, book=book, quiesced=True)
        return await report(services, since=since, findings=findings)

    async def _place(self, floor: Floor, plan: Mix, found: int) -> None:
        """Place all orders and see every one to its end."""
        customers = Customers(floor.url, self._run, self._options.concurrency, self._options.patience.total_seconds())
        database = floor.services["order"].database
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

    async def _stock(self, service: Service, stock: Mapping[str, int]) -> None:
        cause = Cause(new_trace_id())
        lines = sorted(stock.items())
        for first in range(0, len(lines), STOCK_BATCH):
            async with service.database.transaction() as tx:
                await inventory.put_stock(tx, lines[first : first + STOCK_BATCH], because=cause)

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

    def _baskets(self) -> Sequence[Basket]:
        year = completejourney.load(self._home.path / "cache")
        return list(year.baskets(self._options.orders or len(year), seed=self._options.seed))


def _settings() -> dict[str, str]:
    """What the demo asks of the shop: patience of seconds instead of minutes."""
    return {"APP_SAGA_PAYMENTTIMEOUT": f"PT{PAYMENT_TIMEOUT.total_seconds():.0f}S"}
