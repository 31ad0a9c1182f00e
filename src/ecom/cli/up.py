"""`ecom up`: runs the shop until it is stopped."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(name="up")(up)


def up(
    port: Annotated[int, typer.Option(help="The HTTP port of all services together.", envvar="SERVER_PORT")] = 8080,
    address: Annotated[str, typer.Option(help="The address to listen on.", envvar="SERVER_ADDRESS")] = "127.0.0.1",
    separate: Annotated[
        bool, typer.Option("--separate", help="Each service in a process and on a port of its own.")
    ] = False,
    processes: Annotated[
        str, typer.Option(help="1, or 2, which share the work behind the one port.", envvar="ECOM_PROCESSES")
    ] = "",
    prefix: Annotated[str, typer.Option(help="Goes before every schema, topic and group.")] = "",
) -> None:
    """Run the shop until Ctrl-C, which stops everything in order."""
    from ecom.cli import logs, loop

    logs.set_up()
    loop.run(_up(port, address, separate, processes, prefix), stop_is_success=True)


async def _up(port: int, address: str, separate: bool, processes: str, prefix: str) -> None:
    from ecom.cli import loop
    from ecom.local import Home, home_path, servers
    from ecom.running import PROCESSES, PROVIDER_URL, guard_of, http_ports, provider, run_apart, run_here, second_half
    from ecom.serving import bind
    from ecom.shop import Shop, shown

    environ = {**os.environ, PROCESSES: processes}
    # A wrong setting and a taken port are told before anything starts.
    configured, beside = Shop.all(environ, prefix=prefix), second_half(environ)
    if not separate:
        guard_of(configured, address)
        bind(address, port).close()
    async with servers(Home(home_path(environ)), environ) as running, provider(running, environ) as provider_url:
        environ[PROVIDER_URL] = provider_url
        shop = Shop.all(environ, prefix=prefix)
        typer.echo(f"PostgreSQL {shown(running.database_url)}, Kafka {running.bootstrap}, provider {provider_url}")
        folder = running.home.path if running.postgres is None else running.postgres.recipe.folder
        if folder != running.home.path:
            typer.echo(f"PostgreSQL's data lies in {folder}: its own user cannot reach {running.home.path}.")
        runner = (
            run_apart(shop, running, environ=environ, ports=http_ports(shop))
            if separate
            else run_here(shop, running, address=address, port=port, beside=beside)
        )
        async with runner as here:
            for url in dict.fromkeys(here.urls.values()):
                names = ", ".join(name for name, its in here.urls.items() if its == url)
                typer.echo(f"{url}  {names}")
            for child in here.beside.values():
                typer.echo(f"http://127.0.0.1:{child.port}  the work of {' and '.join(beside)}, and its /metrics")
            typer.echo("The shop is open; Ctrl-C closes it.")
            await loop.forever()
