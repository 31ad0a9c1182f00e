"""Where a bench runs: servers of its own (or the user's), all that it makes there under a prefix, and dropped."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ecom.local import Home, Servers, home_path, servers
from ecom.provider.ledger import FILE as LEDGER
from ecom.running import PROVIDER, PROVIDER_URL, Running, provider, run_here, second_half
from ecom.shop import SERVICES, Shop


@dataclass(frozen=True)
class Place:
    """The servers, the environment a shop is built from, and the prefix of all that is made on them."""

    servers: Servers
    environ: Mapping[str, str]
    prefix: str

    @asynccontextmanager
    async def shop(
        self, names: Iterable[str] = SERVICES, *, furnish: Callable[[Shop], Awaitable[None]] | None = None
    ) -> AsyncIterator[Running]:
        """A shop in this process, dropped at the end; one that pays has a provider of its own beside it.

        ``furnish`` is called between the migration and the start of the services.
        """
        names = tuple(names)
        if "payment" not in names:
            async with self._shop(names, self.environ, furnish) as running:
                yield running
            return
        async with (
            provider(self.servers, self.environ) as url,
            self._shop(names, {**self.environ, PROVIDER_URL: url}, furnish) as running,
        ):
            yield running

    @asynccontextmanager
    async def _shop(
        self, names: Iterable[str], environ: Mapping[str, str], furnish: Callable[[Shop], Awaitable[None]] | None
    ) -> AsyncIterator[Running]:
        shop = Shop.of(names, environ, prefix=self.prefix)
        try:
            if furnish is not None:
                await shop.migrate(self.servers.database_url)
                await furnish(shop)
            # As `ecom up` runs them.
            beside = [name for name in second_half(environ) if name in shop.built]
            async with run_here(shop, self.servers, address="127.0.0.1", port=0, beside=beside) as here:
                yield here
        finally:
            await shop.drop(self.servers.database_url, self.servers.bootstrap)


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """Start the servers, or use the ones that are configured.

    The home is the bench's own: the provider's ledger holds all of its orders, and the audit of a demo compares the
    whole ledger with the demo's database.
    """
    environ = dict(os.environ)
    async with servers(Home(home_path(environ) / "bench"), environ) as running:
        if not running.is_guest:
            # Nobody asks for the orders of benches past, and a provider reads its whole ledger when it starts.
            (running.home.path / PROVIDER / LEDGER).unlink(missing_ok=True)
        yield Place(running, environ, f"bench_{os.urandom(3).hex()}_")
