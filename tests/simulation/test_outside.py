"""The world outside does what a real one can do, and nothing that none could."""

from __future__ import annotations

import asyncio

from ecom.provider.interface import Held, Outcome, Request
from tests.simulation.loop import SimulatedLoop
from tests.simulation.outside import Provider
from tests.simulation.world import World

REQUEST = Request("authorize:1", "1", 250, "USD", "card")


def test_keys_are_not_forgotten_under_a_call() -> None:
    """G9: a provider keeps keys for a day, and no call lasts so long: not from its look up to its answer."""
    loop = SimulatedLoop()
    world = World(loop, seed=1)
    provider = Provider()
    provider.open(world)

    async def first_asks_then_charges() -> None:
        async for _, found in provider.look_up([REQUEST.reference]):
            assert found.held is Held.NOTHING
        async for _, answer in provider.authorize([REQUEST]):
            assert answer.outcome is Outcome.APPROVED

    def choose() -> None:
        provider.forget_keys()  # before each turn
        world.grant(world.ready()[0])

    async def both() -> None:
        await asyncio.gather(first_asks_then_charges(), first_asks_then_charges())

    world.choose = choose
    loop.obey(world)
    try:
        loop.run_until_complete(both())
    finally:
        loop.obey(None)
        loop.close()
    assert len(provider.entries) == 1
    provider.forget_keys()
    assert not provider.book.knows(REQUEST.key)
