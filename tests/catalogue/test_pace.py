"""A bulk change waits for a relay that works, waits for nobody where none does, and gives up on one that cannot."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.leadership import STALE_AFTER
from ecom.catalogue import pace, store
from ecom.catalogue.importing import product
from ecom.catalogue.pace import NothingLeaves, Pace
from ecom.product import catalogue
from tests.catalogue.stories import LEAD, SEND_ALL, article

LIMIT_S = 20


async def lead(database: Database, *, ago: timedelta = timedelta(0)) -> None:
    """A relay has beaten so long ago."""
    async with database.transaction() as tx:
        await tx.execute(LEAD, tx.now - ago)


async def send_all(database: Database) -> None:
    """What the relay does."""
    async with database.transaction() as tx:
        await tx.execute(SEND_ALL, tx.now)


@pytest.fixture
async def full(products: Database) -> Database:
    """A product service with ten events in its outbox."""
    async with products.transaction() as tx:
        await catalogue.put(tx, [product(article(number)) for number in range(10)], because=Cause("0" * 32))
    return products


async def test_it_waits_until_the_relay_has_made_room(full: Database) -> None:
    """With a living relay and a full outbox nothing is admitted before events have left."""
    await lead(full)
    admitted = asyncio.create_task(Pace(full, waiting_max=12).admit(3))
    assert await asyncio.wait({admitted}, timeout=3 * pace.LOOK_AGAIN_SECONDS) == (set(), {admitted})
    await send_all(full)
    await asyncio.wait_for(admitted, LIMIT_S)


async def test_room_is_used_up_by_what_was_admitted(full: Database) -> None:
    """The outbox is not asked before each batch, and yet never gets more than it has room for."""
    await lead(full)
    one = Pace(full, waiting_max=15)
    await asyncio.wait_for(one.admit(3), LIMIT_S)
    await asyncio.wait_for(one.admit(2), LIMIT_S)
    async with full.transaction() as tx:
        await catalogue.put(tx, [product(article(100 + number)) for number in range(5)], because=Cause("0" * 32))
    third = asyncio.create_task(one.admit(1))
    assert await asyncio.wait({third}, timeout=3 * pace.LOOK_AGAIN_SECONDS) == (set(), {third})
    await send_all(full)
    await asyncio.wait_for(third, LIMIT_S)


@pytest.mark.parametrize("led_ago", [None, 2 * STALE_AFTER])
async def test_without_a_relay_it_waits_for_nobody(full: Database, led_ago: timedelta | None) -> None:
    """A shop that never opened, or whose relay has died: events pile up, and leave when one starts."""
    if led_ago is not None:
        await lead(full, ago=led_ago)
    assert not await store.is_relayed(full)
    one = Pace(full, waiting_max=12)
    for _ in range(10):
        await asyncio.wait_for(one.admit(10), LIMIT_S)


async def test_a_relay_that_cannot_send_is_given_up_on(full: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay lives and nothing leaves: after a while that is said, with how many wait."""
    monkeypatch.setattr(pace, "STILL_SECONDS_MAX", 0.2)
    await lead(full)
    with pytest.raises(NothingLeaves, match="10 events wait"):
        await asyncio.wait_for(Pace(full, waiting_max=12).admit(3), LIMIT_S)
