"""A shop to tell stories in, for those that need no settings of their own, and a producer from elsewhere."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from ecom.local import Servers
from tests.flows.kcat import Kcat
from tests.flows.market import Market, open_market


@pytest.fixture(scope="session", autouse=True)
def quiet() -> Iterator[None]:
    """A shop says a line for each request; a failed story is read best without them."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
async def market(embedded: Servers) -> AsyncIterator[Market]:
    """A shop that stories share: each uses SKUs, customers and orders of its own."""
    async with open_market(embedded) as market:
        yield market


@pytest.fixture
def foreigner(kcat: str, bootstrap: str) -> Kcat:
    """A producer that is not ours."""
    return Kcat(kcat, bootstrap)
