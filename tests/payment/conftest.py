"""A migrated payment database, and a real provider process beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.payment.stories import PaymentDesk
from tests.provider.processes import ProviderProcess

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.migrate import migrate
from ecom.contracts import CONTRACTS
from ecom.payment.service import HERE, NAME, SCHEMA


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[Database]:
    """A database of the payment service, migrated and empty."""
    await asyncio.to_thread(migrate, empty_database_url, schema=SCHEMA, folders=[HERE / "migrations"])
    voice = Voice(NAME, Contracts.load(CONTRACTS), {})
    database = await Database.connect(empty_database_url, schema=SCHEMA, voice=voice)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    """One provider for all tests: its late answers come after 1.5 s, our timeout is 0.4 s."""
    process = ProviderProcess(tmp_path_factory.mktemp("provider"), late_seconds=1.5).start()
    yield process
    process.stop()


@pytest.fixture
def desk(database: Database, provider: ProviderProcess) -> PaymentDesk:
    """The service on its database, speaking to that provider."""
    return PaymentDesk(database, provider)
