"""The shop while it runs: in this process behind one port, or each service in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog

from dovecote.errors import SettingsError
from dovecote.service import Service
from ecom.local import Servers
from ecom.local.child import Child, start_child, stop_all
from ecom.local.errors import LocalError
from ecom.local.home import Record
from ecom.local.process import is_alive, to_their_end
from ecom.serving import base_url, bind, serving
from ecom.shop import SERVICES, Shop
from ecom.web.admission import Admission, admission
from ecom.web.application import application

log = structlog.get_logger("ecom.running")

PROVIDER = "provider"
PROVIDER_URL = "APP_PAYMENT_PROVIDER_URL"
CATALOGUE_URL = "APP_SEARCH_PRODUCTSERVICEBASEURL"
PROCESSES = "ECOM_PROCESSES"
BESIDE = "beside"
# Half of the work on an order. On two cores a second loop brings an eighth more orders to their end, and HTTP takes a
# quarter more meanwhile (`ecom bench saga` and `http`); at 50 orders a second each takes a fifth longer.
SECOND_HALF = ("payment", "notification")
_WATCH_S = 0.5
_RESTART_S = 1.0
_ANSWER_S = 0.5


@dataclass(frozen=True)
class Running:
    """Where a running shop is reached; `services` are those of this process, `beside` who works for it in another."""

    urls: Mapping[str, str]
    services: Mapping[str, Service] = field(default_factory=dict)
    beside: Mapping[str, Child] = field(default_factory=dict)

    @property
    def pids(self) -> list[int]:
        """The processes that do this one's work, itself the first."""
        return [os.getpid(), *(child.record.pid for child in self.beside.values())]

    @property
    def url(self) -> str:
        """The one address of a shop behind one port."""
        return self.urls[SERVICES[0]] if SERVICES[0] in self.urls else next(iter(self.urls.values()))


@contextlib.asynccontextmanager
async def run_here(
    shop: Shop, servers: Servers, *, address: str, port: int, beside: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """Migrate, create topics, start the services on this loop, and answer HTTP on one port (0 picks a free one).

    Those named in ``beside`` work in a process of their own; here they only answer.
    """
    guard = guard_of(shop, address)
    with contextlib.closing(bind(address, port)) as taken:
        await shop.migrate(servers.database_url)
        await shop.create_topics(servers.bootstrap)
        services = await asyncio.to_thread(shop.services, servers.database_url, servers.bootstrap)
        name = next(iter(shop.built)) + "-service" if len(shop.built) == 1 else "ecom"
        starting = _start(services, beside)
        try:
            async with _working_beside(shop, servers, beside, meanwhile=starting) as children:
                parts = [(shop.built[short], service.database) for short, service in services.items()]
                async with serving(application(parts, name=name, admission=guard), taken):
                    yield Running(dict.fromkeys(services, base_url(taken)), services, children)
        finally:
            await asyncio.gather(*(service.stop() for service in services.values()))


async def _start(services: Mapping[str, Service], beside: Sequence[str]) -> None:
    for name, service in services.items():
        await (service.connect() if name in beside else service.start())


@contextlib.asynccontextmanager
async def _working_beside(
    shop: Shop, servers: Servers, names: Sequence[str], *, meanwhile: Coroutine[Any, Any, None]
) -> AsyncIterator[Mapping[str, Child]]:
    """Have a process of its own work for some services, and start it again when it dies. It starts while we do."""
    children: dict[str, Child] = {}

    async def start(name: str) -> None:
        argv = ["serve", *names, "--address", "127.0.0.1", "--port", "{port}", "--prefix", shop.prefix]
        environ = {**shop.environ, **servers.environ}
        children[name] = await start_child(servers.home, name, argv, environ=environ, ready=is_open)

    async with _kept(children, start, [BESIDE] if names else [], meanwhile):
        yield children


@contextlib.asynccontextmanager
async def run_apart(
    shop: Shop, servers: Servers, *, environ: Mapping[str, str], ports: Mapping[str, int]
) -> AsyncIterator[Running]:
    """Start each service in a process of its own, on its own port, and start again the ones that die."""
    await shop.migrate(servers.database_url)
    await shop.create_topics(servers.bootstrap)
    given = {**environ, **servers.environ}
    if "product" in ports:
        given.setdefault(CATALOGUE_URL, f"http://127.0.0.1:{ports['product']}")
    children: dict[str, Child] = {}

    async def start(name: str) -> None:
        argv = ["serve", name, "--port", "{port}", "--prefix", shop.prefix]
        children[name] = await start_child(servers.home, name, argv, environ=given, port=ports.get(name), ready=is_open)

    async with _kept(children, start, list(shop.built)):
        yield Running({name: f"http://127.0.0.1:{child.port}" for name, child in children.items()})


@contextlib.asynccontextmanager
async def _kept(
    children: Mapping[str, Child],
    start: Callable[[str], Coroutine[Any, Any, None]],
    names: Sequence[str],
    *meanwhile: Coroutine[Any, Any, None],
) -> AsyncIterator[None]:
    """Start children, keep them, and stop them at the end."""
    watch: asyncio.Task[None] | None = None
    try:
        await to_their_end(*meanwhile, *map(start, names))
        watch = asyncio.create_task(_keep(children, start))
        yield
    finally:
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        await asyncio.gather(*(child.stop() for child in children.values()))


async def _keep(children: Mapping[str, Child], start: Callable[[str], Awaitable[None]]) -> None:
    """Start a child again when it has died; one that cannot be started is tried again, for ever, once a second."""
    while True:
        await asyncio.sleep(_WATCH_S)
        for name in [name for name, child in children.items() if not child.is_alive()]:
            log.error("process died; starting it again", process=name)
            await asyncio.sleep(_RESTART_S)
            try:
                await start(name)
            except LocalError as error:  # e.g. its database is away as well
                log.warning("process cannot be started now", process=name, error=str(error))


@contextlib.asynccontextmanager
async def provider(servers: Servers, environ: Mapping[str, str], *options: str) -> AsyncIterator[str]:
    """The payment provider's address: the one configured, one that still lives, or a new process of ours."""
    configured = environ.get(PROVIDER_URL, "").strip()
    if configured:
        yield configured
        return
    home = servers.home
    record = home.record(PROVIDER)
    if servers.is_guest and record is not None and is_alive(record):
        yield f"http://127.0.0.1:{record.port}"
        return
    argv = ["provider", "--port", "{port}", "--home", str(home.path / PROVIDER), *options]
    child = await start_child(home, PROVIDER, argv, environ=environ, is_lasting=True)
    try:
        yield f"http://127.0.0.1:{child.port}"
    finally:
        await stop_all([child])


def is_open(record: Record) -> bool:
    """Whether a service answers that it is ready; it takes its port before it migrates and starts."""
    call = http.client.HTTPConnection("127.0.0.1", record.port, timeout=_ANSWER_S)
    try:
        call.request("GET", "/readyz")
        return call.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        call.close()


def second_half(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The services that work in a second process: none where ``ECOM_PROCESSES``, or the machine's cores, allow one.

    Raises SettingsError for any other number of processes.
    """
    wanted = environ.get(PROCESSES, "").strip() or str(min(len(os.sched_getaffinity(0)), 2))
    if wanted not in {"1", "2"}:
        raise SettingsError(f"{PROCESSES} must be 1 or 2, not {wanted!r}.")
    return SECOND_HALF if wanted == "2" else ()


def guard_of(shop: Shop, address: str) -> Admission | None:
    """The guard of operators' paths; raises SettingsError where the address needs a token that nobody configured."""
    tokens = [built.blueprint.app.admin.token for built in shop.built.values()]
    return admission(address, next(filter(None, tokens), ""))


def http_ports(shop: Shop) -> dict[str, int]:
    """The port of each service when it runs alone, as its settings say."""
    return {name: built.blueprint.settings.port for name, built in shop.built.items()}
