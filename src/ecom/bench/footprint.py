"""What `ecom up` costs: from its start to the first order accepted, then memory and CPU, idle and under load.

The command runs as a user runs it, in a process of its own with a new home. Its servers start with it, unless the user
brought some; the clock then starts without them. Counted are the one or two processes that run all six services; the
provider stands apart, the servers are not looked at.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from ecom.bench import proc, shelves
from ecom.bench.load import Seen
from ecom.local import Home, home_path
from ecom.local.home import REPOSITORY
from ecom.local.place import temporary_home
from ecom.local.process import free_port, spawn
from ecom.local.servers import BOOTSTRAP, DATABASE_URL
from ecom.running import BESIDE, PROVIDER
from ecom.shop import Shop

LIMIT_S = 120.0
KNOCK_S = 0.02
SETTLE_S = 5.0
SAMPLE_S = 0.5
STOCK = 1_000_000
# The floor: an interpreter with what the services cannot do without (loop, driver, broker's client, server, framework).
BARE = "import uvloop, asyncpg, confluent_kafka, uvicorn, litestar, msgspec, structlog; print(flush=True); input()"


@dataclass(frozen=True)
class Floor:
    """An interpreter that has imported the libraries and does nothing."""

    pss_mb: float
    start_s: float


@dataclass(frozen=True)
class Result:
    """What a run reached; memory is PSS in MB unless it says RSS."""

    own_servers: bool
    floor: Floor
    open_s: float  # from the start of the command until it answered that it is ready
    first_order_s: float  # and until the first order was accepted
    processes: int
    idle_mb: float
    idle_rss_mb: float
    idle_cpu: float  # as a part of one core
    provider_mb: float
    load: Seen
    load_mb: float  # the most that was seen
    after_mb: float


async def run(*, orders: int, clients: int, seconds: float, seed: int) -> Result:
    """Start, order once, rest, work, rest. Raises TimeoutError where the shop does not open or takes no order."""
    environ = dict(os.environ)
    floor = await asyncio.to_thread(_floor)
    with temporary_home() as home:
        home.make()
        (home.path / "cache").symlink_to(home_path(environ) / "cache")  # what is installed is not installed again
        async with _up(home, environ) as (up, url, began), aiohttp.ClientSession(url) as client:
            await _until(up, client, HTTPStatus.OK, "GET", "/readyz")
            open_s = time.perf_counter() - began
            sku = await _for_sale(up, client)
            order = shelves.placings(1, lines=1, seed=seed, skus=[sku], kind="first")[0]
            await _until(up, client, HTTPStatus.CREATED, "POST", order.path, order.body)
            first_order_s = time.perf_counter() - began
            await asyncio.sleep(SETTLE_S)
            beside = home.record(BESIDE)
            pids = [up.pid, *([beside.pid] if beside is not None else [])]
            cpu_s, rested = proc.cpu_s(*pids), time.perf_counter()
            await asyncio.sleep(seconds)
            idle_cpu = (proc.cpu_s(*pids) - cpu_s) / (time.perf_counter() - rested)
            idle_mb, idle_rss_mb = proc.memory_mb(*pids)
            provider = home.record(PROVIDER)
            provider_mb = proc.memory_mb(provider.pid)[0] if provider is not None and provider.pid else 0.0
            asks = shelves.placings(orders, lines=1, seed=seed, skus=[sku])
            load, load_mb = await _loaded(pids, shelves.ask(url, asks, clients=clients, seconds=seconds, once=True))
            await asyncio.sleep(SETTLE_S)
            after_mb, _ = proc.memory_mb(*pids)
    own = not environ.get(DATABASE_URL, "").strip()
    return Result(
        own,
        floor,
        open_s,
        first_order_s,
        len(pids),
        idle_mb,
        idle_rss_mb,
        idle_cpu,
        provider_mb,
        load,
        load_mb,
        after_mb,
    )


def _floor() -> Floor:
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None  # noqa: S101 (it is a pipe)
        bare.stdout.readline()
        took = time.perf_counter() - began
        pss_mb, _ = proc.memory_mb(bare.pid)
        bare.communicate(b"\n")
    return Floor(pss_mb, took)


@asynccontextmanager
async def _up(home: Home, environ: Mapping[str, str]) -> AsyncIterator[tuple[subprocess.Popen[bytes], str, float]]:
    """`ecom up` on a free port: the process, its address, and when it was started; dropped at the end."""
    port, prefix = free_port(), f"bench_{os.urandom(3).hex()}_"
    argv = [sys.executable, "-P", "-m", "ecom.cli", "up", "--port", str(port), "--prefix", prefix]
    began = time.perf_counter()
    up = spawn(home, "up", argv, environ={**environ, "ECOM_HOME": str(home.path)}, folder=REPOSITORY)
    try:
        yield up, f"http://127.0.0.1:{port}", began
    finally:
        up.terminate()
        await asyncio.to_thread(up.wait, LIMIT_S)
        if url := environ.get(DATABASE_URL, "").strip():
            await Shop.all(environ, prefix=prefix).drop(url, environ[BOOTSTRAP])


async def _for_sale(up: subprocess.Popen[bytes], client: aiohttp.ClientSession) -> str:
    """A product and its stock, as a shop's owner enters them."""
    body = '{"name":"BREAD","category":"BAKERY","brand":"NATIONAL","price":9.99}'
    product = await _until(up, client, HTTPStatus.CREATED, "POST", "/api/products", body)
    sku: str = product["id"]
    stock = f'{{"sku":"{sku}","availableQuantity":{STOCK}}}'
    await _until(up, client, HTTPStatus.CREATED, "POST", "/api/inventory/stock", stock)
    return sku


async def _until(
    up: subprocess.Popen[bytes],
    client: aiohttp.ClientSession,
    wanted: HTTPStatus,
    method: str,
    path: str,
    body: str = "",
) -> Any:
    """Ask until the answer is the one wanted. Raises TimeoutError where it is not in time, or the shop has ended."""
    until, last = time.perf_counter() + LIMIT_S, ""
    headers = {"Content-Type": "application/json"}
    while time.perf_counter() < until and up.poll() is None:
        try:
            async with client.request(method, path, data=body or None, headers=headers) as answer:
                if answer.status == wanted:
                    return await answer.json()
                last = f"{answer.status} {(await answer.text())[:300]}"
        except aiohttp.ClientError as error:
            last = str(error)
        await asyncio.sleep(KNOCK_S)
    raise TimeoutError(f"{method} {path} was not answered with {wanted.value} but: {last}")


async def _loaded(pids: Sequence[int], load: Any) -> tuple[Seen, float]:
    """What a load saw, and the most memory that the processes had meanwhile."""
    task, most = asyncio.ensure_future(load), 0.0
    while not task.done():
        await asyncio.wait([task], timeout=SAMPLE_S)
        most = max(most, proc.memory_mb(*pids)[0])
    return task.result(), most
