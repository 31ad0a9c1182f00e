"""A migrated payment database, and a real provider process beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from dovecote.database import Database
from ecom.payment import service
from ecom.payment.service import NAME, SCHEMA
from ecom.web.application import application
from tests.payment.stories import PaymentDesk
from tests.provider.processes import ProviderProcess
from tests.slate import clean_slate


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """A database of the payment service, migrated and empty: emptying costs a hundredth of a new one."""
    async with clean_slate(module_database_url, name=NAME, schema=SCHEMA) as database:
        yield database


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


@pytest.fixture
async def client(desk: PaymentDesk) -> AsyncIterator[httpx.AsyncClient]:
    """The service's routes as a client sees them, in webhook-or-auto mode alike: routes do not ask the provider."""
    app = application([(service.build({}), desk.database)], name="payment-service")
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client
