"""The mail worker against a real SMTP server: sent, refused, busy, away; and given up with two events."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from dovecote.database import Database
from dovecote.intents import Worker
from dovecote.schedule import JobContext
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.notification.domain import Mail, OrderPlaced, Patience, Post
from ecom.notification.jobs import retry_due
from ecom.notification.letters import Letters
from ecom.notification.smtp import MailServer, Postman
from ecom.notification.store import MAIL
from ecom.notification.worker import Outcome, log_worker, smtp_worker
from tests.notification.mailbox import OK, Mailbox, serving
from tests.notification.stories import INTENTS, SAID, delivery, hear, notifications, statuses, working

AT_ONCE = Patience(tries_max=3, first_delay=timedelta(0))


def post_to(mailbox: Mailbox, *, connections: int = 3, patience: Patience = AT_ONCE) -> Worker[Outcome]:
    return smtp_worker(Postman(server_of(mailbox, connections)), patience)


def server_of(mailbox: Mailbox, connections: int = 3) -> MailServer:
    return MailServer(
        host="127.0.0.1",
        port=mailbox.port,
        username="",
        password="",
        sender="shop@example.org",
        connections_max=connections,
        command_seconds_max=5,
    )


def orders(count: int) -> list[OrderPlaced]:
    return [OrderPlaced(order_id=f"o{number}", user_id=number) for number in range(count)]


async def until_statuses(database: Database, **wanted: int) -> None:
    """Run the retry job until the notifications stand like this."""

    async def so() -> bool:
        await retry_due(JobContext(database, nothing_waits))
        return await statuses(database) == wanted

    await eventually(so)


async def nothing_waits() -> int:
    return 0


async def test_a_mail_arrives_as_it_was_written(database: Database, letters: Letters) -> None:
    """Sender, recipient, subject, body and a Message-ID made of the eventId; the notification is SENT."""
    order = delivery(OrderPlaced(order_id="ord_1", user_id=7, email="ann@example.org"))
    async with serving(Mailbox()) as mailbox, working(database, post_to(mailbox)):
        await hear(database, letters, order)
        await until_statuses(database, SENT=1)
    [mail] = mailbox.mails
    assert (mail["To"], mail["From"]) == ("ann@example.org", "shop@example.org")
    assert mail["Subject"] == "Your order ord_1"
    assert mail["Message-ID"] == f"<{order.event_id}@notification.ecom.local>"
    assert "Thank you for your order ord_1" in mail.get_content()
    assert {row["status"] for row in await database.fetch(INTENTS)} == {"DONE"}


async def test_connections_are_shared_and_bounded(database: Database, letters: Letters) -> None:
    """A hundred mails go over no more connections than allowed, each mail once."""
    async with serving(Mailbox()) as mailbox, working(database, post_to(mailbox, connections=3)):
        await hear(database, letters, *orders(100))
        await until_statuses(database, SENT=100)
    assert mailbox.connections <= 3
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 100 == len(mailbox.mails)


async def test_a_connection_that_was_closed_says_nothing_about_the_mail(database: Database, letters: Letters) -> None:
    """A server that hangs up after each third mail: all arrive and no try counts as failed."""
    async with serving(Mailbox(hangs_up_after=3)) as mailbox, working(database, post_to(mailbox, connections=1)):
        await hear(database, letters, *orders(20))
        await until_statuses(database, SENT=20)
    assert [row["retry_count"] for row in await notifications(database)] == [0] * 20


async def test_a_busy_server_is_asked_again(database: Database, letters: Letters) -> None:
    """451 twice, then taken: SENT with two retries counted and the last error kept."""
    busy = Mailbox(verdict=lambda number: "451 4.3.0 try later" if number < 3 else OK)
    async with serving(busy) as mailbox, working(database, post_to(mailbox)):
        await hear(database, letters, *orders(1))
        await until_statuses(database, SENT=1)
    [row] = await notifications(database)
    assert (row["retry_count"], row["tries"]) == (2, 3)
    assert "451" in row["last_error"]
    assert len(mailbox.mails) == 1
    assert await database.fetch(SAID) == []


async def test_a_refused_mail_is_given_up_and_said(database: Database, letters: Letters) -> None:
    """550 three times: DEAD_LETTER, a dead letter and two events keyed by the source event; its neighbours arrive."""
    refusing = Mailbox(refuses=lambda address: address.startswith("user0@"))
    async with serving(refusing) as mailbox, working(database, post_to(mailbox)):
        await hear(database, letters, *orders(3))
        await until_statuses(database, SENT=2, DEAD_LETTER=1)
    assert mailbox.tries == 5
    dead = next(row for row in await notifications(database) if row["status"] == "DEAD_LETTER")
    said = await database.fetch(SAID)
    assert [(row["event_type"], row["key"], row["sequence"]) for row in said] == [
        ("notification.dlq.v1", str(dead["event_id"]), 1),
        ("notification.alert.v1", str(dead["event_id"]), 2),
    ]
    dlq, alert = (msgspec.json.decode(row["value"])["payload"] for row in said)
    assert (dlq["retries"], dlq["recipientEmail"], dlq["userId"]) == (3, "user0@example.local", 0)
    assert dlq["sourceTopic"] == "topic-of-order.created.v1"
    assert (alert["severity"], alert["alertType"]) == ("HIGH", "NOTIFICATION_DEAD_LETTER")
    assert "550" in alert["reason"]
    assert "user0@" not in alert["reason"]


async def test_a_server_that_is_away_counts_as_a_failed_try(database: Database, letters: Letters) -> None:
    """Nobody listens: FAILED with the reason and a next try; once the server is back the mail goes out."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        away = Mailbox(port=free.getsockname()[1])
    patient = Patience(tries_max=3, first_delay=timedelta(milliseconds=300))
    async with working(database, post_to(away, patience=patient)):
        await hear(database, letters, *orders(1))

        async def failed() -> bool:
            return await statuses(database) == {"FAILED": 1}

        await eventually(failed)
        [row] = await notifications(database)
        assert row["retry_count"] == 1
        assert "Connect" in row["last_error"]
        async with serving(away, port=away.port):
            await until_statuses(database, SENT=1)


async def test_a_repeat_after_a_crash_has_the_same_message_id(database: Database, letters: Letters) -> None:
    """Sent but not recorded: the lease ends, the same intent goes out again, the receiver can tell."""
    async with serving(Mailbox()) as mailbox:
        whole = post_to(mailbox)
        forgetful = Worker(whole.kind, whole.call, _forgets, lease=timedelta(milliseconds=50))
        await hear(database, letters, *orders(1))
        async with working(database, forgetful):
            await eventually(lambda: _arrived(mailbox, 2))
        async with working(database, whole):
            await until_statuses(database, SENT=1)
    assert len(mailbox.mails) >= 3
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 1


async def _forgets(tx: object, answers: object) -> None:
    """A process that dies between the call and its record."""


async def _arrived(mailbox: Mailbox, count: int) -> bool:
    return len(mailbox.mails) >= count


@pytest.mark.parametrize(
    "mail",
    [
        Mail(uuid4(), "ann\r\nBcc: eve@example.org", "s", "b"),
        Mail(uuid4(), "", "s", "b"),
        Mail(uuid4(), "not an address", "s", "b"),
        Mail(uuid4(), "ann@example.org", "two\nlines", "b"),
    ],
)
async def test_what_no_header_can_hold_is_a_failed_try(mail: Mail) -> None:
    """A broken address or subject is an answer, not an exception, and reaches nobody."""
    async with serving(Mailbox()) as mailbox:
        postman = Postman(server_of(mailbox))
        async with postman.round(), postman.free, asyncio.timeout(10):
            assert await postman.carry(mail, written_at=delivery(orders(1)[0]).occurred_at) is not None
    assert mailbox.mails == []


async def test_mail_beyond_ascii_arrives(database: Database, letters: Letters) -> None:
    """Addresses and texts beyond ASCII survive the way."""
    order = OrderPlaced(order_id="ord_ü", user_id=1, email="zoë@exämple.org")
    async with serving(Mailbox()) as mailbox, working(database, post_to(mailbox)):
        await hear(database, letters, order)
        await until_statuses(database, SENT=1)
    assert "ord_ü" in mailbox.mails[0].get_content()


async def test_the_log_provider_sends_thousands(database: Database, letters: Letters) -> None:
    """Two thousand mails by `log`: all SENT, two hundred an intent, all intents done."""
    async with working(database, log_worker(AT_ONCE)):
        for _ in range(2):
            await hear(database, letters, *orders(1000), together=200)
        await until_statuses(database, SENT=2000)
    assert [row["status"] for row in await database.fetch(INTENTS)] == ["DONE"] * 10


async def test_what_the_log_left_goes_out_over_smtp(database: Database, letters: Letters) -> None:
    """A post that names its mails only is written anew from the rows, which is no try, and sent one by one."""
    refusing = Mailbox(refuses=lambda address: address.startswith("user1@"))
    async with serving(refusing) as mailbox, working(database, post_to(mailbox)):
        await hear(database, letters, *orders(3), together=3)
        await until_statuses(database, SENT=2, DEAD_LETTER=1)
    assert sorted(mail["To"] for mail in mailbox.mails) == ["user0@example.local", "user2@example.local"]
    assert all("Thank you for your order" in mail.get_content() for mail in mailbox.mails)


async def test_a_post_of_many_has_an_answer_for_each(database: Database, letters: Letters) -> None:
    """Mails of one post, whole, as an older release wrote them: the refused one alone is tried again."""
    refusing = Mailbox(refuses=lambda address: address.startswith("user1@"))
    async with serving(refusing) as mailbox:
        await hear(database, letters, *orders(3))
        async with database.transaction() as tx:
            bodies = [row["body"] for row in await tx.fetch(Sql("DELETE FROM intent RETURNING body"))]
            mails = tuple(mail for body in bodies for mail in msgspec.json.decode(body, type=Post).mails)
            tx.intend(MAIL, key="of many", subject="", body=Post(mails))
        async with working(database, post_to(mailbox)):
            await until_statuses(database, SENT=2, DEAD_LETTER=1)
    assert sorted(mail["To"] for mail in mailbox.mails) == ["user0@example.local", "user2@example.local"]
    assert len(await database.fetch(INTENTS)) == 3
