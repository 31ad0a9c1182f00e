"""I16, I17: what could not be sent or handled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ecom.audit import aside
from tests.audit.books import Books
from tests.audit.plants.planting import breaks

ALERT = "notification.alert.v1"
LETTER = """
    INSERT INTO dead_letter (consumer_group, topic, partition, "offset", headers, error, status, attempts,
                             next_attempt_at, created_at, updated_at)
    VALUES ('inventory-service', 'order.created.v1', 0, 77, '[]', 'no envelope', '{status}', 1, {again}, now(), now())
"""


@breaks(aside.unsent)
async def a_failed_record(books: Books) -> None:
    """An event that Kafka will never get."""
    await books.store("notification", ALERT, "mystery", "m", 1, status="FAILED")


@breaks(aside.unsent)
async def a_record_that_stays(books: Books) -> None:
    """An event that waits for a minute."""
    old = datetime.now(UTC) - timedelta(minutes=1)
    await books.store("notification", ALERT, "mystery", "m", 1, status="PENDING", created_at=old)


@breaks(aside.unhandled)
async def a_dead_letter(books: Books) -> None:
    """A message was given up."""
    await books.run("inventory", LETTER.format(status="DEAD", again="NULL"))


@breaks(aside.unhandled)
async def a_parked_letter(books: Books) -> None:
    """A message waits for people."""
    await books.run("inventory", LETTER.format(status="PARKED", again="NULL"))


@breaks(aside.unhandled)
async def a_letter_that_is_tried(books: Books) -> None:
    """A message that is still tried again is not at rest."""
    await books.run("inventory", LETTER.format(status="RETRYING", again="now()"))


@breaks(aside.unhandled)
async def poison_that_did_no_harm(books: Books) -> None:
    """What was put in as poison is no dead letter: somebody has handled it, or nobody has met it."""
    books.given = replace(books.given, dead_letters=frozenset({"order.created.v1/0/77"}))
