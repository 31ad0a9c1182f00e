"""The moment between a database server's last word and the end of the connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlunsplit

import pytest

from dovecote.errors import UnavailableError
from dovecote.sql import Sql
from dovecote.testing import eventually
from tests.addresses import by_tcp
from tests.dovecote import sample

ONE = Sql("SELECT 1")
FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
FATAL = b"E" + (len(FIELDS) + 4).to_bytes(4, "big") + FIELDS


@dataclass
class Line:
    """A client's connection; once the last word is said, what the client sends ends it."""

    client: asyncio.StreamWriter
    is_last: bool = False


@dataclass
class Between:
    """Stands between clients and their server, passes everything on, and can say a last word for the server."""

    host: str
    port: int
    lines: list[Line] = field(default_factory=list)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client to the server, until either leaves."""
        line = Line(writer)
        self.lines.append(line)
        answers, server = await asyncio.open_connection(self.host, self.port)
        ways = [
            asyncio.create_task(_pass_on(reader, server, line)),
            asyncio.create_task(_pass_on(answers, writer, line)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, server):
            end.close()
        await asyncio.wait(ways)

    def say_fatal(self) -> None:
        """What a server that stops tells every client; the end of the connections is still on its way."""
        for line in self.lines:
            line.client.write(FATAL)
            line.is_last = True

    def close(self) -> None:
        """The end of the connections."""
        for line in self.lines:
            line.client.close()
        self.lines.clear()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, line: Line) -> None:
    with contextlib.suppress(ConnectionError):
        while (part := await source.read(65536)) and not line.is_last:
            target.write(part)
            await target.drain()


@pytest.fixture
async def between(sample_url: str) -> AsyncIterator[tuple[Between, str]]:
    """Somebody between, and the address of the database behind."""
    parts = by_tcp(sample_url)
    assert parts.hostname
    assert parts.port
    someone = Between(parts.hostname, parts.port)
    server = await asyncio.start_server(someone.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield someone, urlunsplit(parts._replace(netloc=parts.netloc.replace(str(parts.port), str(port))))
        someone.close()


async def test_a_server_that_has_just_gone_is_not_the_events_fault(between: tuple[Between, str], prefix: str) -> None:
    """Rule 12: a statement sent between the server's FATAL and the end of the connection meets the environment.

    The driver has an error of a class of its own for this moment; taken for a surprise it would bisect a batch, make
    a dead letter of an innocent event, and answer HTTP with 500.
    """
    someone, url = between
    async with sample.connected(url, prefix=prefix) as database:

        async def is_told() -> bool:
            try:
                await database.fetchval(ONE)
            except UnavailableError as error:
                return "another operation (2)" in str(error)
            someone.say_fatal()  # read by the driver before the next look
            return False

        await eventually(is_told)
        someone.close()

        async def works_again() -> bool:
            with contextlib.suppress(UnavailableError):
                async with database.transaction() as tx:
                    return bool(await tx.fetchval(ONE) == 1)
            return False

        await eventually(works_again)
