"""A producer that has died is replaced: its records stay PENDING, no attempt is counted, and all of them leave."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from dovecote import envelope
from dovecote.database import Database
from dovecote.kafka import Failure, KafkaProducer, Outgoing, SendResult
from dovecote.relay import Relay
from dovecote.testing import drained
from tests.dovecote import sample
from tests.dovecote.relays import end
from tests.dovecote.sample import outbox, read_log, tell


class Dying(KafkaProducer):
    """Takes the first batch and dies of it, as librdkafka says it has (an out-of-order sequence number)."""

    def send(
        self, records: Sequence[Outgoing], _follows: Mapping[int, int]
    ) -> tuple[asyncio.Future[SendResult], set[int]]:
        result = SendResult(failed=[(each.id, Failure.FATAL, "Local: Fatal error") for each in records])
        future: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        future.set_result(result)
        return future, set()


async def test_a_dead_producer_is_replaced(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """O9: two producers die in a row; the third sends everything once, in order, and nothing was counted or FAILED."""
    made: list[str] = []

    def producer() -> KafkaProducer:
        made.append("dying" if len(made) < 2 else "well")
        return (Dying if made[-1] == "dying" else KafkaProducer)(bootstrap, message_bytes_max=1_000_000)

    async with notes.transaction() as tx:
        for _ in range(5):
            await tell(tx, "n")
    relay = Relay(notes, service=sample.NOTES, schema=sample.NOTES_SCHEMA, attempts_max=1, producer=producer)
    task = asyncio.create_task(relay.run())
    try:
        await drained(notes)
    finally:
        await end(task)
    assert made == ["dying", "dying", "well"]
    assert {(row["status"], row["attempts"]) for row in await outbox(notes)} == {("SENT", 0)}
    versions = [
        msgspec.json.decode(envelope.decode(record.value).payload)["version"]
        for record in await read_log(bootstrap, *topics)
    ]
    assert versions == [1, 2, 3, 4, 5]
