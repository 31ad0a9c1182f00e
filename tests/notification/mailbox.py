"""A real SMTP server (aiosmtpd) on this loop, which takes, delays or refuses as a test wishes."""
# ruff: noqa: N802, ARG002 (aiosmtpd asks for these names and arguments)

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, Envelope, Session

OK = "250 OK"


@dataclass
class Mailbox:
    """What arrived. ``verdict`` answers each DATA with its number, counted from 1."""

    verdict: Callable[[int], str] = lambda _: OK
    refuses: Callable[[str], bool] = lambda _: False
    tries: int = 0
    connections: int = 0
    hangs_up_after: int | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take or refuse a recipient, quoting the address as servers do."""
        if self.refuses(address):
            self.tries += 1
            return f"550 5.1.1 <{address}>: user unknown"
        envelope.rcpt_tos.append(address)
        return OK

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take or refuse a mail."""
        self.tries += 1
        answer = self.verdict(self.tries)
        if answer == OK:
            self.mails.append(message_from_bytes(bytes(envelope.content or b""), policy=default))  # type: ignore[arg-type]
        if self.hangs_up_after is not None and self.tries % self.hangs_up_after == 0:
            assert server.transport is not None
            asyncio.get_running_loop().call_soon(server.transport.close)
        return answer

    def protocol(self) -> SMTP:
        """One connection."""
        self.connections += 1
        return SMTP(self, hostname="mailbox.test", enable_SMTPUTF8=True)


@contextlib.asynccontextmanager
async def serving(mailbox: Mailbox, *, port: int = 0) -> AsyncIterator[Mailbox]:
    """The mailbox listens meanwhile."""
    server = await asyncio.get_running_loop().create_server(mailbox.protocol, "127.0.0.1", port)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()
