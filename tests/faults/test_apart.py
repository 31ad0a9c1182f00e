"""Each service in a process of its own (`ecom up --separate`), killed one by one and all at once, mid-trade."""

from __future__ import annotations

import asyncio
import signal

import aiohttp
import pytest

from dovecote.testing import eventually
from ecom.local import Home
from ecom.local.process import free_port, is_alive
from tests.faults import books
from tests.faults.command import Command, ecom
from tests.faults.complaints import complaints
from tests.faults.market import market
from tests.faults.processes import LAUNCHER, POSTGRES, PROVIDER, kill, kill_all, living
from tests.faults.servers import postgres

ORDERS = 240
# The provider is late by eight seconds: an order of that kind has timed out by then.
SETTINGS = {"APP_SAGA_PAYMENTTIMEOUT": "PT5S"}


async def open_shop(home: Home, ports: dict[str, int]) -> Command:
    """Start the shop and wait until every service answers."""
    environ = {f"{name.upper()}__SERVER_PORT": str(port) for name, port in ports.items()}
    command = await ecom(home, "up", "--separate", **SETTINGS, **environ)

    async def is_open() -> bool:
        assert not command.written.done(), command.written.result()[1].decode()[-3000:]
        return all([await is_ready(port) for port in ports.values()])

    await eventually(is_open, seconds=240, every=0.2, what="every service is ready")
    return command


async def is_ready(port: int) -> bool:
    """Whether a service answers that it is ready."""
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def pids(home: Home) -> dict[str, int]:
    """The process of each service."""
    return {name: record.pid for name in books.SERVICES if (record := home.record(name)) is not None}


async def is_reborn(home: Home, name: str, port: int, *, before: int) -> None:
    """Wait until a service that was killed is another process, and ready."""

    async def is_back() -> bool:
        return pids(home)[name] not in {0, before} and await is_ready(port)

    await eventually(is_back, seconds=240, every=0.1, what=f"{name} is started again")


@pytest.mark.timeout(1200)
async def test_services_apart_are_killed_one_by_one_and_all_at_once(own: Home) -> None:
    """A service killed is started again, also where its database is away at first; a shop killed whole goes on.

    Every order that customers were told of is there once and ends, the books agree, no letter is dead.
    """
    ports = {name: free_port() for name in books.SERVICES}
    up = await open_shop(own, ports)
    async with market(own, f"http://127.0.0.1:{ports['order']}", orders=ORDERS) as shop:
        await shop.fill()
        trade = asyncio.create_task(shop.trade())
        await up.midway(final=ORDERS // 10)

        before = pids(own)
        await kill([before["payment"]])
        await is_reborn(own, "payment", ports["payment"], before=before["payment"])
        assert {**before, "payment": 0} == {**pids(own), "payment": 0}
        await up.midway(final=ORDERS * 3 // 10)

        before = pids(own)
        async with postgres(own) as server:
            await server.kill()
            await kill([before["payment"]])

            async def has_tried_in_vain() -> bool:
                record = own.record("payment")
                return record is not None and not record.pid

            await eventually(has_tried_in_vain, seconds=180, what="payment was started without its database")
            await server.start_again()
            await is_reborn(own, "payment", ports["payment"], before=before["payment"])
            assert {**before, "payment": 0} == {**pids(own), "payment": 0}
            seen = await up.midway(final=ORDERS * 5 // 10)

            killed = await kill_all(own, but=PROVIDER)
        assert set(killed.values()) == {LAUNCHER, "kafka", POSTGRES, *books.SERVICES}
        provider = own.record(PROVIDER)
        assert provider is not None
        assert is_alive(provider)
        up = await open_shop(own, ports)

        await asyncio.wait_for(trade, 300)
        after = await books.orders(own)
        assert len(after) == shop.customers.placed == ORDERS
        assert seen.keys() <= after.keys()
        assert set(after.values()) <= books.FINAL
        assert await books.harm(own) == {}
    audit = await (await ecom(own, "audit", "--quiesced")).ended(seconds=300)
    assert audit.code == 0, audit.out
    up.process.send_signal(signal.SIGTERM)
    assert (await up.ended(seconds=90)).code == 0
    assert complaints(own) == []
    assert living(own) == {}
