"""What becomes of a mail on a real database: each statement moves just the statuses that the table says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dovecote.database import Database, Transaction
from dovecote.sql import Sql
from ecom.notification import mail_store
from ecom.notification.domain import LEADS_TO, MAILS, Fact, OrderPlaced, Patience, Status, fail
from ecom.notification.letters import Letters
from tests.notification.stories import delivery, hear

PATIENCE = Patience(tries_max=1, first_delay=timedelta(0))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
STAND = Sql("""
    UPDATE notification SET status = $2, next_attempt_at = CASE WHEN $2 = 'FAILED' THEN $3::timestamptz END
     WHERE event_id = $1
""")
BURY = Sql("""
    INSERT INTO notification_dead_letter (id, event_id, event_type, user_id, recipient_email, subject, body, status,
                                          retries, source_topic, created_at, updated_at)
    SELECT event_id, event_id, event_type, user_id, recipient_email, subject, body, 'DEAD_LETTER', 1, source_topic,
           created_at, updated_at
      FROM notification WHERE event_id = $1
""")
STATUS = Sql("SELECT status FROM notification WHERE event_id = $1")
INTENTS = Sql("SELECT count(*) FROM intent")


async def taken(tx: Transaction, event_id: UUID) -> None:
    """As the worker writes what the server took."""
    await mail_store.mark_sent(tx, [event_id])


async def refused(tx: Transaction, event_id: UUID) -> None:
    """As the worker writes a last try that failed."""
    before = await mail_store.lock(tx, [event_id])
    after = [fail(each, "550 no", PATIENCE, tx.now) for each in before.values()]
    await mail_store.keep_failures(tx, [each for each in after if each != before[each.event_id]])


async def due(tx: Transaction, event_id: UUID) -> None:
    """As the retry job finds what is due, and the operator who wants all of it tried."""
    await mail_store.try_again(tx, due=tx.now, limit=10)


async def requeued(tx: Transaction, event_id: UUID) -> None:
    """As an operator asks for a dead letter once more."""
    await mail_store.requeue(tx, event_id)


TELLS: dict[Fact, Callable[[Transaction, UUID], Awaitable[None]]] = {
    Fact.TAKEN: taken,
    Fact.REFUSED_FOR_GOOD: refused,
    Fact.DUE: due,
    Fact.REQUEUED: requeued,
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("fact", TELLS)
async def test_statements_go_where_the_table_says(
    database: Database, letters: Letters, status: Status, fact: Fact
) -> None:
    """From every status, every fact: the row stands where the table says, and a mail that is tried has its intent."""
    order = delivery(OrderPlaced(order_id="o", user_id=1))
    await hear(database, letters, order)
    await database.fetch(STAND, order.event_id, status.value, LONG_AGO)
    await database.fetch(BURY, order.event_id)
    async with database.transaction() as tx:
        await TELLS[fact](tx, order.event_id)
    to = LEADS_TO.get(MAILS[status, fact], status)
    assert await database.fetchval(STATUS, order.event_id) == to.value
    is_tried = to is Status.PENDING and status is not Status.PENDING
    assert await database.fetchval(INTENTS) == (2 if is_tried else 1)
