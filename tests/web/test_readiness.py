"""Readiness of a shop is its databases' answer."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httpx

from ecom.shop import Shop
from ecom.web.application import application


async def test_ready_while_the_database_answers(database_url: str, bootstrap: str) -> None:
    """UP with a database behind it; 503 with Retry-After once that is gone, and alive all the same."""
    shop = Shop.of(["order"], os.environ)
    service = (await asyncio.to_thread(shop.services, database_url, bootstrap))["order"]
    await service.connect()
    database = service.database
    app: Any = application([(shop.built["order"], database)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop") as client:
        assert (await client.get("/readyz")).status_code == 200
        await service.stop()
        refused = await client.get("/readyz")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        assert (await client.get("/healthz")).status_code == 200
