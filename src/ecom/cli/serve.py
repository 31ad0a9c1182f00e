"""`ecom serve SERVICE`: one service in a process of its own."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(name="serve")(serve)


def serve(
    service: Annotated[str, typer.Argument(help="order, payment, inventory, notification, product or search.")],
    port: Annotated[int | None, typer.Option(help="The HTTP port; the service's own where not given.")] = None,
    prefix: Annotated[str, typer.Option(help="Goes before every schema, topic and group.")] = "",
) -> None:
    """Run one service until it is stopped, on the servers of a running shop or on its own."""
    from ecom.cli import logs, loop

    logs.set_up()
    loop.run(_serve(service, port, prefix), stop_is_success=True)


async def _serve(name: str, port: int | None, prefix: str) -> None:
    import contextlib

    from ecom.cli import loop
    from ecom.local import Home, home_path, joined_servers
    from ecom.running import PROVIDER_URL, http_ports, provider, run_here
    from ecom.shop import Shop

    environ = dict(os.environ)
    shop = Shop.of([name], environ, prefix=prefix)
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(joined_servers(Home(home_path(environ)), environ))
        if name == "payment":
            environ[PROVIDER_URL] = await stack.enter_async_context(provider(running, environ))
            shop = Shop.of([name], environ, prefix=prefix)
        settings = shop.built[name].blueprint.settings
        chosen = http_ports(shop)[name] if port is None else port
        here = await stack.enter_async_context(run_here(shop, running, address=settings.address, port=chosen))
        typer.echo(f"{here.url}  {name}")
        await loop.forever()
