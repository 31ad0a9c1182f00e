"""Mail over SMTP: a few connections, each used for many mails while there is work, none kept when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as CRLF
from email.utils import format_datetime

import aiosmtplib
from aiosmtplib import SMTPException, SMTPServerDisconnected

from ecom.notification.domain import Mail


@dataclass(frozen=True, slots=True)
class MailServer:
    """``spring.mail.*``, and who the mail is from."""

    host: str
    port: int
    username: str
    password: str
    sender: str
    connections_max: int
    command_seconds_max: float = 10.0


class Postman:
    """Carries mails to one server. An answer is None for a mail the server has taken, else why it did not."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self.free = asyncio.Semaphore(server.connections_max)
        self._idle: list[aiosmtplib.SMTP] = []
        self._rounds = 0

    @contextlib.asynccontextmanager
    async def round(self) -> AsyncIterator[None]:
        """Work is at hand: connections live until the last round ends."""
        self._rounds += 1
        try:
            yield
        finally:
            self._rounds -= 1
            if self._rounds == 0:
                await self._leave()

    async def carry(self, mail: Mail, *, written_at: datetime) -> str | None:
        """Hand one mail over, ``free`` being held; says why where it failed, never raises for the server's sake."""
        try:
            await self._hand_over(self._message(mail, written_at))
        except (SMTPException, OSError, ValueError) as error:  # ValueError: an address that no header can hold
            return _why(error)
        return None

    async def _hand_over(self, message: EmailMessage) -> None:
        if self._idle:
            # A connection that rested may be gone by now; that says nothing about the mail.
            with contextlib.suppress(SMTPServerDisconnected, ConnectionError):
                await self._send(self._idle.pop(), message)
                return
        await self._send(await self._connect(), message)

    async def _connect(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            username=self._server.username or None,
            password=self._server.password or None,
            local_hostname=socket.gethostname(),
            timeout=self._server.command_seconds_max,
        )
        await client.connect()
        return client

    async def _send(self, client: aiosmtplib.SMTP, message: EmailMessage) -> None:
        try:
            await client.send_message(message)
        except BaseException:
            # What state the dialogue is in is not worth knowing: the next mail gets a new connection.
            client.close()
            raise
        self._idle.append(client)

    async def _leave(self) -> None:
        idle, self._idle = self._idle, []
        for client in idle:
            with contextlib.suppress(SMTPException, OSError):
                await client.quit()

    def _message(self, mail: Mail, written_at: datetime) -> EmailMessage:
        message = EmailMessage(policy=CRLF)
        message["From"] = self._server.sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(written_at)
        message["Message-ID"] = mail.message_id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.body)
        return message


def _why(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
