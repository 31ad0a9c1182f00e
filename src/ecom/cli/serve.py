"""`ecom serve SERVICE...`: one service, or several, in a process of their own."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(name="serve")(serve)


def serve(
    services: Annotated[list[str], typer.Argument(help="order, payment, inventory, notification, product or search.")],
    port: Annotated[int | None, typer.Option(help="The HTTP port; the first service's own where not given.")] = None,
    address: Annotated[
        str | None, typer.Option(help="The address to listen on; the first service's own where not given.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Goes before every schema, topic and group.")] = "",
) -> None:
    """Run services behind one port until they are stopped, on the servers of a running shop or on their own."""
    from ecom.cli import logs, loop

    logs.set_up()
    loop.run(_serve(services, port, address, prefix), stop_is_success=True)


async def _serve(names: list[str], port: int | None, address: str | None, prefix: str) -> None:
    import contextlib

    from ecom.cli import loop
    from ecom.local import Home, home_path, joined_servers
    from ecom.running import PROVIDER_URL, http_ports, provider, run_here
    from ecom.shop import Shop

    environ = dict(os.environ)
    shop = Shop.of(names, environ, prefix=prefix)
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(joined_servers(Home(home_path(environ)), environ))
        if "payment" in names:
            environ[PROVIDER_URL] = await stack.enter_async_context(provider(running, environ))
            shop = Shop.of(names, environ, prefix=prefix)
        first = names[0]
        at = shop.built[first].blueprint.settings.address if address is None else address
        chosen = http_ports(shop)[first] if port is None else port
        here = await stack.enter_async_context(run_here(shop, running, address=at, port=chosen))
        typer.echo(f"{here.url}  {', '.join(shop.built)}")
        await loop.forever()
