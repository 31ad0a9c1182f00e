"""I10, I12, I14, I15: events on their way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dovecote import envelope, ids
from dovecote.kafka import LogRecord
from ecom.audit import events, offsets
from ecom.audit.vitals import Vitals
from tests.audit.books import Books
from tests.audit.plants.planting import breaks

ALERT = "notification.alert.v1"
SEAT = ("inventory-service", "order.created.v1", 0)


def alert() -> bytes:
    """An event of the notification service that stands in no outbox."""
    now = datetime.now(UTC)
    return envelope.encode(ids.uuid7(now), ALERT, now, "notification-service", "t" * 32, b"{}")


@breaks(events.not_sent_as_stored)
async def sent_and_not_in_kafka(books: Books) -> None:
    """A record is marked SENT and lies on no topic; as it would be after the last one of its topic."""
    await books.store("notification", ALERT, "mystery", "m", 1)
    books.records.pop()


@breaks(events.not_sent_as_stored)
async def other_bytes_in_kafka(books: Books) -> None:
    """What lies on the topic is not what was stored."""
    record = books.records[0]
    assert record.value is not None
    books.records[0] = record._replace(value=record.value.replace(b'"x"', b'"y"'))


@breaks(events.not_sent_as_stored)
async def two_contents_of_one_event(books: Books) -> None:
    """Our relay sent an event twice, with other bytes the second time."""
    record = books.records[0]
    assert record.value is not None
    books.send(record.topic, record.value.replace(b'"x"', b'"y"'), key="ord_sold")


@breaks(events.phantoms)
async def a_phantom(books: Books) -> None:
    """Our relay sent an event that no transaction stored."""
    books.send(ALERT, alert())


@breaks(events.unheard)
async def an_event_not_heard(books: Books) -> None:
    """Payment has no verdict on an order that was placed."""
    await books.run(
        "payment",
        """DELETE FROM consumed_event_record
            WHERE event_id = (SELECT min(event_id::text)::uuid FROM consumed_event_record)""",
    )


@breaks(events.unheard)
async def an_unreadable_message_not_set_aside(books: Books) -> None:
    """What cannot be read must at least be a dead letter."""
    books.send("inventory.reserved.v1", b"not an event")


@breaks(events.out_of_order)
async def a_late_word(books: Books) -> None:
    """The second change of a product lies before the first."""
    first, second = [record for record in books.records if record.key == b"a"]
    swapped = {first.offset: second, second.offset: first}

    def moved(record: LogRecord) -> LogRecord:
        if record.topic != first.topic or record.offset not in swapped:
            return record
        return swapped[record.offset]._replace(offset=record.offset)

    books.records = [moved(record) for record in books.records]


@breaks(offsets.fallen)
async def a_group_that_went_back(books: Books) -> None:
    """A group's offset is lower than at the look before, and nobody has begun to read its partition meanwhile."""
    now = (await books.evidence()).vitals[-1]
    books.vitals = [replace(now, committed={**now.committed, SEAT: now.committed[SEAT] + 5}), now]


@breaks(offsets.fallen)
async def a_group_that_was_forgotten(books: Books) -> None:
    """The broker no longer knows an offset that was there, in a partition where nothing lies any more."""
    now = (await books.evidence()).vitals[-1]
    books.vitals = [Vitals({**now.committed, ("search-service", "product.upserted.v1", 5): 7}), now]


@breaks(offsets.short_of_the_end)
async def a_group_short_of_the_end(books: Books) -> None:
    """A group has everything in its inbox, and its offset does not say so."""
    now = (await books.evidence()).vitals[-1]
    behind = replace(now, committed={**now.committed, SEAT: now.committed[SEAT] - 1})
    books.vitals = [behind, behind]


@breaks(offsets.short_of_the_end)
async def a_group_that_never_committed(books: Books) -> None:
    """A partition has events, and a group that hears it has no offset there."""
    now = (await books.evidence()).vitals[-1]
    unread = Vitals({seat: offset for seat, offset in now.committed.items() if seat != SEAT})
    books.vitals = [unread, unread]
