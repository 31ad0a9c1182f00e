"""The order saga over HTTP to each of its ends, in each way to run the shop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from ecom.audit.run import audit
from ecom.local import Servers
from tests.flows.market import Market, open_market
from tests.flows.stories import STORIES, Story, play

WAYS: Mapping[str, tuple[Mapping[str, str], bool]] = {
    "together": ({}, False),
    "classic": ({"APP_KAFKA_GROUPPROTOCOL": "classic"}, False),
    "apart": ({}, True),
}


@pytest.fixture(scope="module", params=WAYS)
async def saga_market(request: pytest.FixtureRequest, embedded: Servers) -> AsyncIterator[Market]:
    """A shop in which nothing but sagas happens, run in one of the ways there are."""
    settings, is_apart = WAYS[request.param]
    async with open_market(embedded, settings, is_apart=is_apart) as market:
        yield market


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_story(saga_market: Market, story: Story) -> None:
    """An order ends as card and customer have it: status, money, stock, mails, and one trace through its events."""
    await play(saga_market, story)


async def test_all_stories_at_once_leave_clean_books(saga_market: Market) -> None:
    """Told at the same time, the stories end the same, and the audit of databases, Kafka and ledger finds nothing."""
    await asyncio.gather(*(play(saga_market, story) for story in STORIES))
    await saga_market.until_rest()
    services = saga_market.services.values()
    book = saga_market.provider.book
    assert await audit(services, bootstrap=saga_market.servers.bootstrap, book=book, quiesced=True) == []
