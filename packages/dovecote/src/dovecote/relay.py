"""The relay (OutboxPublisher) of one service in one process: leads when it can, stands by when another does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dovecote import telemetry
from dovecote.errors import is_environment
from dovecote.kafka import KafkaProducer
from dovecote.leadership import TRY_SECONDS, Leadership, lock_key
from dovecote.sql import Sql
from dovecote.term import ProducerDied, Term
from dovecote.wakeups import RELAY

if TYPE_CHECKING:
    from dovecote.database import Database

NOTIFY = Sql("SELECT pg_notify($1, '')")
DRAIN_SECONDS = 3.0


class Relay:
    """Runs the relay of one service in this process: leads when it can, stands by when another does."""

    def __init__(
        self,
        database: Database,
        *,
        service: str,
        schema: str,
        attempts_max: int,
        producer: Callable[[], KafkaProducer],
    ) -> None:
        self._database = database
        self._service = service
        self._key = lock_key(schema)
        self._channel = f"dovecote_{schema}"
        self._attempts_max = attempts_max
        self._new_producer = producer
        self.leads = False

    async def run(self) -> None:
        """Lead or stand by until cancelled; errors of the environment are waited out."""
        while True:
            try:
                await self._candidate()
            except Exception as error:  # noqa: BLE001 (a loop's edge: nothing may end the relay but its cancellation)
                reason = _innermost(error)
                if isinstance(reason, ProducerDied) or not is_environment(reason):
                    telemetry.relay_failed(self._service, reason)
                telemetry.relay_stopped(self._service, telemetry.describe(reason))
                await asyncio.sleep(0.5)

    async def _candidate(self) -> None:
        connection = await self._database.direct()
        try:
            leadership = Leadership(self._database, connection, self._key)
            while (epoch := await leadership.take()) is None:
                if await self._database.wakeups.wait(RELAY, seconds=TRY_SECONDS):
                    await connection.execute(NOTIFY.text, self._channel)
                    # One signal serves all that was committed meanwhile.
                    await asyncio.sleep(0.002)
            marks = await self._database.direct()
            try:
                await self._lead(connection, marks, epoch)
            finally:
                self.leads = False
                await _close(marks)
        finally:
            await _close(connection)

    async def _lead(self, scans: Any, marks: Any, epoch: int) -> None:
        telemetry.relay_started(self._service, epoch)
        self.leads = True
        producer = self._new_producer()
        term = Term(self._database, producer, marks, epoch, self._service, self._attempts_max)
        await marks.add_listener(self._channel, lambda *_: self._database.wakeups.ring(RELAY))
        drain = 0.0
        try:
            self._database.leader = term
            async with asyncio.TaskGroup() as group:
                group.create_task(term.send_loop(scans, group))
                group.create_task(term.beat_loop())
                group.create_task(term.settle_loop())
        except asyncio.CancelledError:
            drain = DRAIN_SECONDS  # an orderly stop waits for what Kafka is about to acknowledge
            raise
        finally:
            self._database.leader = None
            await producer.close(seconds=drain)
            if drain:
                await term.settle_rest()
            telemetry.relay_stopped(self._service, "the term is over")


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=1)
    except (OSError, TimeoutError):
        connection.terminate()


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
