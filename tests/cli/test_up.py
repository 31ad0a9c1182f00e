"""`ecom up` and `ecom serve`: the shop opens, serves, and closes in order, whatever was in its way."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any

import aiohttp
import pytest

from ecom.local.child import answers
from ecom.local.process import free_port, is_alive, until
from ecom.running import BESIDE
from ecom.shop import SERVICES
from tests.cli.conftest import Command, line_with

# A group that has just started takes a while to hear its first product.
PATIENT = {"APP_ORDER_PRICEPATIENCE": "PT30S"}


async def call(url: str, body: Any = None) -> tuple[int, Any]:
    """One HTTP call on a connection of its own: GET, or POST where there is a body."""
    async with aiohttp.ClientSession(headers={"Connection": "close"}) as http:
        method = http.get(url) if body is None else http.post(url, json=body)
        async with method as answer:
            return answer.status, await answer.json()


async def place_order(order_url: str, inventory_url: str, product_url: str) -> str:
    """Make a product, put a unit on stock, order it, and return the order's id."""
    milk = {"name": "Milk", "category": "DAIRY", "brand": "Ours", "price": 2.5}
    status, product = await call(f"{product_url}/api/products", milk)
    assert status == 201, product
    sku = product["id"]
    assert (await call(f"{inventory_url}/api/inventory/stock", {"sku": sku, "availableQuantity": 9}))[0] == 201
    item = {"productId": sku, "sku": sku, "quantity": 1, "unitPrice": "2.50"}
    status, order = await call(f"{order_url}/api/orders", {"userId": 1, "currency": "USD", "items": [item]})
    assert status == 201, order
    return str(order["id"])


async def final_state(order_url: str, order_id: str) -> str:
    """Poll as clients do until the order is final."""
    async with asyncio.timeout(45):
        while (await call(f"{order_url}/api/orders/{order_id}"))[1]["status"] == "PAYMENT_PENDING":
            await asyncio.sleep(0.1)
    return str((await call(f"{order_url}/api/orders/{order_id}"))[1]["status"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_up_serves_an_order_and_a_signal_closes_the_shop(
    ecom: Command, port: int, number: signal.Signals
) -> None:
    """One command opens all services behind one port; an order is confirmed; a signal ends all within 10 s, exit 0."""
    process = await ecom.start("up", "--port", str(port), "--prefix", ecom.prefix, **PATIENT)
    await line_with(process, "The shop is open")
    url = f"http://127.0.0.1:{port}"
    assert (await call(f"{url}/readyz"))[0] == 200
    order = await place_order(url, url, url)
    assert await final_state(url, order) == "CONFIRMED"
    provider = ecom.home.record("provider")
    assert provider is not None
    assert is_alive(provider)
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert not is_alive(provider)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


async def test_a_taken_port_is_named_before_anything_starts(ecom: Command, port: int) -> None:
    """An HTTP port in use is one line that names it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, out, err = await ecom.run("up", "--port", str(port))
    assert (code, out) == (1, "")
    assert err.startswith(f"ecom: Port {port} on 127.0.0.1 cannot be used")
    assert err.count("\n") == 1


async def test_beyond_loopback_the_shop_does_not_open_without_a_token(ecom: Command, port: int) -> None:
    """HTTP beyond loopback needs app.admin.token, and says so."""
    code, _, err = await ecom.run("up", "--address", "0.0.0.0", "--port", str(port), "--prefix", ecom.prefix)
    assert code == 1
    assert "app.admin.token" in err


async def test_a_wrong_setting_is_one_line(ecom: Command) -> None:
    """A value that cannot be read is told before anything starts, with its key."""
    code, _, err = await ecom.run("up", APP_OUTBOX_MAXRETRY="many")
    assert code == 1
    assert err.startswith("ecom: The configuration of ")
    assert "max-retry" in err


async def test_each_service_in_a_process_of_its_own_and_back_after_a_kill(ecom: Command) -> None:
    """`up --separate` confirms an order across processes; a killed service is started again and goes on.

    Search finds the product service wherever it was put.
    """
    ports = {f"{name.upper()}__SERVER_PORT": str(free_port()) for name in SERVICES}
    process = await ecom.start("up", "--separate", "--prefix", ecom.prefix, **PATIENT, **ports)
    await line_with(process, "The shop is open", limit_s=90)
    urls = [f"http://127.0.0.1:{ports[f'{name}__SERVER_PORT']}" for name in ("ORDER", "INVENTORY", "PRODUCT")]
    order_url = urls[0]
    assert await final_state(order_url, await place_order(*urls)) == "CONFIRMED"
    killed = ecom.home.record("inventory")
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    assert await until(lambda: (now := ecom.home.record("inventory")) is not None and now.pid != killed.pid, limit_s=30)
    reborn = ecom.home.record("inventory")
    assert reborn is not None
    assert await until(lambda: answers(reborn.port), limit_s=30)
    assert await final_state(order_url, await place_order(*urls)) == "CONFIRMED"
    status, report = await call(f"http://127.0.0.1:{ports['SEARCH__SERVER_PORT']}/api/search/reindex/products", {})
    assert (status, report.get("productsFetched")) == (200, 2)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 15) == 0
    assert not any(is_alive(record) for record in ecom.home.records().values())


async def test_two_processes_share_the_work_behind_one_port(ecom: Command, port: int) -> None:
    """The second works for payment and notification, is started again when it is killed, and ends with the first.

    All is answered at the one port, what the second works for too.
    """
    process = await ecom.start("up", "--port", str(port), "--prefix", ecom.prefix, "--processes", "2", **PATIENT)
    await line_with(process, "the work of payment and notification")
    url = f"http://127.0.0.1:{port}"
    assert await final_state(url, await place_order(url, url, url)) == "CONFIRMED"

    killed = ecom.home.record(BESIDE)
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    order = await place_order(url, url, url)
    assert await final_state(url, order) == "CONFIRMED"
    assert (await call(f"{url}/api/payments/provider/outage-mode"))[0] == 200
    reborn = ecom.home.record(BESIDE)
    assert reborn is not None
    assert reborn.pid != killed.pid

    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 15) == 0
    assert not any(is_alive(record) for record in ecom.home.records().values())


async def test_one_process_does_all_where_that_is_wanted(ecom: Command, port: int) -> None:
    """`ECOM_PROCESSES=1`: no second process is started."""
    process = await ecom.start("up", "--port", str(port), "--prefix", ecom.prefix, ECOM_PROCESSES="1", **PATIENT)
    await line_with(process, "The shop is open")
    url = f"http://127.0.0.1:{port}"
    assert await final_state(url, await place_order(url, url, url)) == "CONFIRMED"
    beside = ecom.home.record(BESIDE)
    assert beside is None or not is_alive(beside)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 15) == 0


async def test_another_number_of_processes_is_refused_in_one_line(ecom: Command) -> None:
    """Three are not a choice, and nothing is started."""
    code, out, err = await ecom.run("up", "--processes", "3")
    assert (code, out, err) == (1, "", "ecom: ECOM_PROCESSES must be 1 or 2, not '3'.\n")


async def test_several_services_are_served_in_one_process(ecom: Command, port: int) -> None:
    """`serve` takes more than one name, and answers for all of them at one port."""
    process = await ecom.start("serve", "inventory", "product", "--port", str(port), "--prefix", ecom.prefix)
    url = f"http://127.0.0.1:{port}"
    assert await line_with(process, url) == f"{url}  inventory, product\n"
    assert (await call(f"{url}/api/inventory/stock", {"sku": "SKU-1", "availableQuantity": 9}))[0] == 201
    assert (await call(f"{url}/api/products/none"))[0] == 404
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 15) == 0


async def test_what_keeps_two_processes_from_starting_is_told_in_one_line(ecom: Command, port: int) -> None:
    """The reason is the shop's own, not that its second process ended; nothing is left running."""
    unsafe = {"APP_CLEANUP_DEDUPRETENTION": "PT1H", "ECOM_PROCESSES": "2"}
    code, _, err = await ecom.run("up", "--port", str(port), "--prefix", ecom.prefix, **unsafe)
    assert code == 1
    assert err.splitlines()[-1].startswith("ecom: app.cleanup.dedup-retention")
    assert not any(is_alive(record) for record in ecom.home.records().values())
