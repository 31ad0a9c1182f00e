"""The relay (OutboxPublisher): sends PENDING outbox records to Kafka, in order for each aggregate.

A record leaves only behind its aggregate's earlier ones: each row carries its predecessor's state, so an id
that became visible late is never skipped and never overtaken, whatever the floor of the scan.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dovecote import telemetry
from dovecote.errors import LeadershipLost, is_environment
from dovecote.ids import traceparent
from dovecote.kafka import Failure, KafkaProducer, Outgoing, SendResult
from dovecote.leadership import BEAT_SECONDS, TRY_SECONDS, Leadership, beat, lock_key
from dovecote.retry import backoff
from dovecote.sql import Sql
from dovecote.wakeups import RELAY

if TYPE_CHECKING:
    from dovecote.database import Database

SCAN = Sql("""
    SELECT o.id, o.topic, o.key, o.value, o.trace_id, o.sequence, o.attempts,
           before.id AS before_id, before.status AS before_status, before.blocked_by AS before_blocked_by
      FROM outbox_event_record AS o
      LEFT JOIN outbox_event_record AS before
             ON o.sequence > 1 AND before.aggregate_id = o.aggregate_id
            AND before.sequence = o.sequence - 1 AND before.aggregate_type = o.aggregate_type
     WHERE o.status = 'PENDING' AND o.blocked_by IS NULL AND o.id >= $1 AND o.id <> ALL($2::bigint[])
       AND o.topic <> ALL($3::text[]) AND (o.next_attempt_at IS NULL OR o.next_attempt_at <= $4)
     ORDER BY o.id
     LIMIT $5
""")
MARK_SENT = Sql("""
    UPDATE outbox_event_record
       SET status = 'SENT', sent_at = $2
     WHERE id = ANY($1::bigint[]) AND status = 'PENDING'
       AND EXISTS (SELECT 1 FROM relay_leader WHERE only AND epoch = $3)
""")
MARK_TRIED = Sql("""
    UPDATE outbox_event_record AS o
       SET status = CASE WHEN tried.final THEN 'FAILED' ELSE 'PENDING' END, attempts = o.attempts + 1,
           last_error = tried.error, next_attempt_at = tried.next_attempt_at
      FROM unnest($1::bigint[], $2::bool[], $3::text[], $4::timestamptz[])
        AS tried(id, final, error, next_attempt_at)
     WHERE o.id = tried.id AND o.status = 'PENDING'
       AND EXISTS (SELECT 1 FROM relay_leader WHERE only AND epoch = $5)
""")
MARK_BLOCKED = Sql("""
    UPDATE outbox_event_record AS o
       SET blocked_by = waits.failed
      FROM unnest($1::bigint[], $2::bigint[]) AS waits(id, failed)
      JOIN outbox_event_record AS f ON f.id = waits.failed AND f.status = 'FAILED'
     WHERE o.id = waits.id AND o.status = 'PENDING'
""")
NOTIFY = Sql("SELECT pg_notify($1, '')")

SCAN_MAX = 1000
IN_FLIGHT_MAX = 4000
POLL_SECONDS = 1.5
SWEEP_SECONDS = 2.0
# The scan starts where it could have started this long ago: transactions that commit later than that are
# found by the sweep.
FLOOR_LAG_SECONDS = 0.3
TOPIC_PAUSE_SECONDS = 5.0
HOLD_SECONDS = 0.05
DRAIN_SECONDS = 5.0


class ProducerDied(LeadershipLost):
    """The producer reported a fatal error; the relay starts again with a new one."""


class Relay:
    """Runs the relay of one service in this process: leads when it can, stands by when another does."""

    def __init__(
        self,
        database: Database,
        *,
        bootstrap: str,
        service: str,
        schema: str,
        attempts_max: int,
        message_bytes_max: int,
    ) -> None:
        self._database = database
        self._bootstrap = bootstrap
        self._service = service
        self._key = lock_key(schema)
        self._channel = f"dovecote_{schema}"
        self._attempts_max = attempts_max
        self._message_bytes_max = message_bytes_max
        self.leads = False

    async def run(self) -> None:
        """Lead or stand by until cancelled; errors of the environment are waited out."""
        while True:
            try:
                await self._candidate()
            except Exception as error:  # noqa: BLE001 (a loop's edge: nothing may end the relay but its cancellation)
                reason = _innermost(error)
                if not is_environment(reason):
                    telemetry.record_failed(f"relay of {self._service}", reason)
                telemetry.relay_stopped(self._service, telemetry.describe(reason))
                await asyncio.sleep(0.5)

    async def _candidate(self) -> None:
        connection = await self._database.direct()
        try:
            leadership = Leadership(self._database, connection, self._key)
            while (epoch := await leadership.take()) is None:
                if await self._database.wakeups.wait(RELAY, seconds=TRY_SECONDS):
                    await connection.execute(NOTIFY, self._channel)
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
        producer = KafkaProducer(self._bootstrap, message_bytes_max=self._message_bytes_max)
        term = Term(self._database, producer, marks, epoch, self._service, self._attempts_max)
        await marks.add_listener(self._channel, lambda *_: self._database.wakeups.ring(RELAY))
        drain = 0.0
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(term.send_loop(scans, group))
                group.create_task(term.beat_loop())
        except asyncio.CancelledError:
            drain = DRAIN_SECONDS  # an orderly stop waits for what Kafka is about to acknowledge
            raise
        finally:
            await producer.close(seconds=drain)
            if drain:
                await term.settle_rest()
            telemetry.relay_stopped(self._service, "the term is over")


class Term:
    """One leader's time in office: what is in flight, which topics are paused, where the scan starts."""

    def __init__(
        self,
        database: Database,
        producer: KafkaProducer,
        marks: Any,
        epoch: int,
        service: str,
        attempts_max: int,
    ) -> None:
        self._database = database
        self._producer = producer
        self._marks = marks
        self._marking = asyncio.Lock()
        self._epoch = epoch
        self._service = service
        self._attempts_max = attempts_max
        self._in_flight: set[int] = set()
        self._batches: dict[asyncio.Future[SendResult], dict[int, Any]] = {}
        self._paused: dict[str, float] = {}
        self._held: dict[int, float] = {}
        self._floor = Floor()

    async def beat_loop(self) -> None:
        """Keep the row young, and the clock true."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            async with self._marking:
                await beat(self._marks, self._database, self._epoch)

    async def send_loop(self, scans: Any, group: asyncio.TaskGroup) -> None:
        """Scan and send; verdicts are marked by tasks of their own, so that Kafka and PostgreSQL overlap."""
        while True:
            room = min(SCAN_MAX, IN_FLIGHT_MAX - len(self._in_flight))
            rows = await self._scan(scans, room) if room > 0 else []
            sendable, blocked = self._sort(rows)
            if blocked:
                async with self._marking:
                    await self._marks.execute(MARK_BLOCKED, *map(list, zip(*blocked, strict=True)))
            if sendable:
                future = self._producer.send([_outgoing(row) for row in sendable])
                self._in_flight.update(row["id"] for row in sendable)
                self._batches[future] = {row["id"]: row for row in sendable}
                group.create_task(self._settle(future))
            if len(rows) < room or not sendable:
                await self._database.wakeups.wait(RELAY, seconds=0.05 if rows and not sendable else POLL_SECONDS)

    async def _scan(self, scans: Any, room: int) -> Sequence[Any]:
        moment = time.monotonic()
        self._paused = {topic: until for topic, until in self._paused.items() if until > moment}
        self._held = {record: until for record, until in self._held.items() if until > moment}
        floor = self._floor.start(moment)
        rows: Sequence[Any] = await scans.fetch(
            SCAN, floor, [*self._in_flight, *self._held], list(self._paused), self._database.now, room
        )
        unsent = [*self._in_flight, *(row["id"] for row in rows[:1])]
        if unsent:
            self._floor.note(moment, min(unsent))
        return rows

    def _sort(self, rows: Sequence[Any]) -> tuple[list[Any], list[tuple[int, int]]]:
        """Rows that may leave now, and rows that wait behind a FAILED one (with its id)."""
        sendable: list[Any] = []
        blocked: list[tuple[int, int]] = []
        leaving = self._in_flight.copy()
        for row in rows:
            before, status = row["before_id"], row["before_status"]
            if before is None or status == "SENT" or before in leaving:
                sendable.append(row)
                leaving.add(row["id"])
            elif status == "FAILED":
                blocked.append((row["id"], before))
            elif row["before_blocked_by"] is not None:
                blocked.append((row["id"], row["before_blocked_by"]))
            else:
                # Its predecessor waits (a paused topic, a backoff, a late commit): so does this one, out of
                # the scan, lest thousands of its kind fill it.
                self._held[row["id"]] = time.monotonic() + HOLD_SECONDS
        return sendable, blocked

    async def _settle(self, future: asyncio.Future[SendResult]) -> None:
        # Shielded: a stop cancels this task, yet the verdict must still arrive for settle_rest.
        result = await asyncio.shield(future)
        rows = self._batches.pop(future)
        try:
            await self._mark(result, rows)
        finally:
            self._in_flight.difference_update(rows)
        if any(failure is Failure.FATAL for _, failure, _ in result.failed):
            raise ProducerDied("Kafka's producer reported a fatal error.")
        self._database.wakeups.ring(RELAY)

    async def settle_rest(self) -> None:
        """Mark what was acknowledged while stopping; errors leave it PENDING, to be sent once more."""
        for future, rows in list(self._batches.items()):
            if future.done() and not future.cancelled():
                try:
                    await self._mark(future.result(), rows)
                except Exception as error:  # noqa: BLE001 (a loop's edge: the inbox absorbs the duplicate)
                    telemetry.record_failed(f"relay of {self._service}", error)

    async def _mark(self, result: SendResult, rows: dict[int, Any]) -> None:
        if result.acked:
            async with self._marking:
                done = await self._marks.execute(MARK_SENT, sorted(result.acked), self._database.now, self._epoch)
            if done == "UPDATE 0":
                raise LeadershipLost(f"Epoch {self._epoch} of the relay is over.")
            telemetry.OUTBOX_SENT.labels(self._service).inc(len(result.acked))
        tried = [verdict for verdict in map(self._verdict(rows), result.failed) if verdict is not None]
        if tried:
            async with self._marking:
                await self._marks.execute(MARK_TRIED, *map(list, zip(*tried, strict=True)), self._epoch)

    def _verdict(self, rows: dict[int, Any]) -> Any:
        now = self._database.now

        def judge(failed: tuple[int, Failure, str]) -> tuple[int, bool, str, Any] | None:
            record, failure, why = failed
            row = rows[record]
            match failure:
                case Failure.RECORD:
                    telemetry.record_refused(self._service, record, row["topic"], why)
                    return record, True, why, None
                case Failure.OTHER:
                    final = row["attempts"] + 1 >= self._attempts_max
                    if final:
                        telemetry.record_refused(self._service, record, row["topic"], why)
                    wait = backoff(
                        row["attempts"] + 1, first=timedelta(seconds=1), most=timedelta(minutes=1)
                    )
                    return record, final, why, None if final else now + wait
                case Failure.TOPIC:
                    if row["topic"] not in self._paused:
                        telemetry.topic_paused(self._service, row["topic"], why)
                    self._paused[row["topic"]] = time.monotonic() + TOPIC_PAUSE_SECONDS
                case Failure.BROKER | Failure.FATAL:
                    pass
            return None

        return judge


class Floor:
    """Where a scan may start: a hint that keeps it from walking dead index entries, never a cursor.

    Without it a scan under load degrades from 2 to 50 ms within minutes; with it, it stays near 1 ms.
    """

    def __init__(self) -> None:
        self._current = 0
        self._history: deque[tuple[float, int]] = deque()
        self._swept = 0.0

    def start(self, moment: float) -> int:
        """The id to scan from; 0, a full sweep, every SWEEP_SECONDS."""
        if moment - self._swept >= SWEEP_SECONDS:
            self._swept = moment
            return 0
        while self._history and self._history[0][0] <= moment - FLOOR_LAG_SECONDS:
            self._current = self._history.popleft()[1]
        return self._current

    def note(self, moment: float, lowest_unsent: int) -> None:
        """Remember the lowest id that a scan at that moment saw unsent."""
        self._history.append((moment, lowest_unsent))


def _outgoing(row: Any) -> Outgoing:
    return Outgoing(
        row["id"],
        row["topic"],
        row["key"],
        row["value"],
        [
            ("traceparent", traceparent(row["trace_id"]).encode()),
            ("content-type", b"application/json"),
            ("aggregate-sequence", str(row["sequence"]).encode()),
        ],
    )


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=1)
    except (OSError, TimeoutError):
        connection.terminate()


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
