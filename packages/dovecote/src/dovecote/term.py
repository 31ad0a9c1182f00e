"""One relay's term in office: scan, send, mark. Read this page to know when an outbox record leaves.

A record leaves only behind its aggregate's earlier ones: each row carries its predecessor's state, so an id
that became visible late is never skipped and never overtaken, whatever the floor of the scan. It may be in flight
together with its predecessor only where Kafka keeps their order: same topic, same key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dovecote import telemetry
from dovecote.errors import LeadershipLost
from dovecote.floor import Floor
from dovecote.ids import traceparent
from dovecote.kafka import Failure, KafkaProducer, Outgoing, SendResult
from dovecote.leadership import BEAT_SECONDS, beat
from dovecote.retry import backoff
from dovecote.settled import SETTLE_SECONDS, Settled
from dovecote.sql import Sql
from dovecote.wakeups import RELAY

if TYPE_CHECKING:
    from dovecote.database import Database

SCAN = Sql("""
    SELECT o.id, o.topic, o.key, o.value, o.trace_id, o.sequence, o.attempts,
           before.id AS before_id, before.status AS before_status, before.blocked_by AS before_blocked_by,
           before.topic = o.topic AND before.key = o.key AS together
      FROM outbox_event_record AS o
      LEFT JOIN outbox_event_record AS before
             ON o.sequence > 1 AND before.aggregate_id = o.aggregate_id
            AND before.sequence = o.sequence - 1 AND before.aggregate_type = o.aggregate_type
     WHERE o.status = 'PENDING' AND o.blocked_by IS NULL AND NOT o.behind AND o.id >= $1 AND o.id <> ALL($2::bigint[])
       AND o.topic <> ALL($3::text[]) AND (o.next_attempt_at IS NULL OR o.next_attempt_at <= $4)
     ORDER BY o.id
     LIMIT $5
""")
# Those that the sweep no longer looks at: replayed, or PENDING for long.
SCAN_BEHIND = Sql("""
    SELECT o.id, o.topic, o.key, o.value, o.trace_id, o.sequence, o.attempts,
           before.id AS before_id, before.status AS before_status, before.blocked_by AS before_blocked_by,
           before.topic = o.topic AND before.key = o.key AS together
      FROM outbox_event_record AS o
      LEFT JOIN outbox_event_record AS before
             ON o.sequence > 1 AND before.aggregate_id = o.aggregate_id
            AND before.sequence = o.sequence - 1 AND before.aggregate_type = o.aggregate_type
     WHERE o.status = 'PENDING' AND o.blocked_by IS NULL AND o.behind AND o.id <> ALL($1::bigint[])
       AND o.topic <> ALL($2::text[]) AND (o.next_attempt_at IS NULL OR o.next_attempt_at <= $3)
     ORDER BY o.id
     LIMIT $4
""")
# A plan that knows the ids to leave out hashes them; a generic one compares each row with each of thousands.
KNOW_IDS = Sql("SELECT set_config('plan_cache_mode', 'force_custom_plan', false)")
MARK_SENT = Sql("""
    UPDATE outbox_event_record
       SET status = 'SENT', sent_at = $2, behind = false
     WHERE id = ANY($1::bigint[]) AND status = 'PENDING'
       AND EXISTS (SELECT 1 FROM relay_leader WHERE single AND epoch = $3)
""")
MARK_TRIED = Sql("""
    UPDATE outbox_event_record AS o
       SET status = CASE WHEN tried.final THEN 'FAILED' ELSE 'PENDING' END, attempts = o.attempts + 1,
           last_error = tried.error, next_attempt_at = tried.next_attempt_at, behind = o.behind AND NOT tried.final
      FROM unnest($1::bigint[], $2::bool[], $3::text[], $4::timestamptz[])
        AS tried(id, final, error, next_attempt_at)
     WHERE o.id = tried.id AND o.status = 'PENDING'
       AND EXISTS (SELECT 1 FROM relay_leader WHERE single AND epoch = $5)
""")
# The lock: a replay in this moment frees those that it finds blocked, and would not find this one.
MARK_BLOCKED = Sql("""
    WITH failed AS MATERIALIZED (
        SELECT id FROM outbox_event_record WHERE id = ANY($2::bigint[]) AND status = 'FAILED' ORDER BY id FOR SHARE
    )
    UPDATE outbox_event_record AS o
       SET blocked_by = waits.failed, behind = false
      FROM unnest($1::bigint[], $2::bigint[]) AS waits(id, failed)
      JOIN failed AS f ON f.id = waits.failed
     WHERE o.id = waits.id AND o.status = 'PENDING'
""")

SCAN_MAX = 1000
IN_FLIGHT_MAX = 4000
POLL_SECONDS = 1.5
TOPIC_PAUSE_SECONDS = 5.0
HOLD_SECONDS = 0.05
# Walking held records costs about 10 µs each: they stay out of the scan ten times as long.
HOLD_SECONDS_EACH = 0.0001


class ProducerDied(LeadershipLost):
    """The producer reported a fatal error; the relay starts again with a new one."""


class Term:
    """One leader's time in office: what is in flight, which topics are paused, where the scan starts."""

    def __init__(
        self, database: Database, producer: KafkaProducer, marks: Any, epoch: int, service: str, attempts_max: int
    ) -> None:
        self._database = database
        self._producer = producer
        self._marks = marks
        self._marking = asyncio.Lock()
        self._epoch = epoch
        self._service = service
        self._attempts_max = attempts_max
        self._in_flight: set[int] = set()
        self._refused: set[int] = set()  # in flight for us only: Kafka never saw them, so nothing may follow
        self._batches: dict[asyncio.Future[SendResult], dict[int, Any]] = {}
        self._paused: dict[str, float] = {}
        self._held: dict[int, float] = {}
        self._behind: dict[int, int] = {}  # a record in flight → the held one that follows it
        self._floor = Floor()
        self._settled = Settled(epoch)
        self._look_behind = False  # records were found behind, and not all of them have left
        self._full = False  # no scan until something in flight has its verdict

    async def beat_loop(self) -> None:
        """Keep the row young, and the clock true."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            async with self._marking:
                await beat(self._marks, self._database, self._epoch)

    async def settle_loop(self) -> None:
        """Keep what a sweep must look at short."""
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            async with self._marking:
                if await self._settled.step(self._marks):
                    self._look_behind = True

    async def send_loop(self, scans: Any, group: asyncio.TaskGroup) -> None:
        """Scan and send; verdicts are marked by tasks of their own, so that Kafka and PostgreSQL overlap."""
        await scans.execute(KNOW_IDS.text)
        await self._settled.read(scans)
        while True:
            room = min(SCAN_MAX, IN_FLIGHT_MAX - len(self._in_flight))
            self._full = room <= 0
            rows = await self._scan(scans, room) if room > 0 else []
            sendable, blocked = self._sort(rows)
            if blocked:
                async with self._marking:
                    await self._marks.execute(MARK_BLOCKED.text, *map(list, zip(*blocked, strict=True)))
            # A batch for each topic: one that waits for its topic's metadata keeps no other's verdict waiting.
            for _, batch in groupby(sorted(sendable, key=_topic), key=_topic):
                self._send(list(batch), group)
            if len(rows) < room or not room:
                await self._database.wakeups.wait(RELAY, seconds=self._idle_seconds())

    def _send(self, rows: Sequence[Any], group: asyncio.TaskGroup) -> None:
        future, refused = self._producer.send([_outgoing(row) for row in rows])
        self._in_flight.update(row["id"] for row in rows)
        self._refused |= refused
        self._batches[future] = {row["id"]: row for row in rows}
        group.create_task(self._settle(future))

    @property
    def _moment(self) -> float:
        """Seconds of the monotonic clock."""
        return self._database.clock.monotonic()

    def _idle_seconds(self) -> float:
        if not self._held:
            self._behind.clear()
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, min(self._held.values()) - self._moment))

    async def _scan(self, scans: Any, room: int) -> Sequence[Any]:
        moment = self._moment
        self._paused = {topic: until for topic, until in self._paused.items() if until > moment}
        self._held = {record: until for record, until in self._held.items() if until > moment}
        elsewhere = [*self._in_flight, *self._held], list(self._paused), self._database.now
        is_sweep = self._floor.sweep_is_due(moment)
        behind: Sequence[Any] = []
        if is_sweep or self._look_behind:
            behind = await scans.fetch(SCAN_BEHIND.text, *elsewhere, room)
            self._look_behind = bool(behind) or (self._look_behind and bool(self._in_flight or self._held))
        floor = self._settled.below if is_sweep else self._floor.start(moment)
        rows: Sequence[Any] = await scans.fetch(SCAN.text, floor, *elsewhere, room)
        if is_sweep:
            self._floor.swept(moment, seconds=self._moment - moment)
        unsent = [*(record for record in self._in_flight if record >= floor), *(row["id"] for row in rows[:1])]
        if unsent:
            self._floor.note(moment, min(unsent))
        return [*behind, *rows][:room]

    def _sort(self, rows: Sequence[Any]) -> tuple[list[Any], list[tuple[int, int]]]:
        """Rows that may leave now, and rows that wait behind a FAILED one (with its id)."""
        sendable: list[Any] = []
        leaving = self._in_flight - self._refused
        failed: dict[int, int] = {}
        hold = self._moment + max(HOLD_SECONDS, HOLD_SECONDS_EACH * (len(self._held) + len(rows)))
        for row in rows:
            before, status = row["before_id"], row["before_status"]
            if before is None or status == "SENT" or (row["together"] and before in leaving):
                sendable.append(row)
                leaving.add(row["id"])
            elif status == "FAILED":
                failed[row["id"]] = before
            elif cause := row["before_blocked_by"] or failed.get(before):
                failed[row["id"]] = cause
            else:
                # Its predecessor waits (a paused topic, a backoff, a late commit, another topic's ack): so does
                # this one, out of the scan, lest thousands of its kind fill it.
                self._held[row["id"]] = hold
                self._behind[before] = row["id"]
        return sendable, list(failed.items())

    async def _settle(self, future: asyncio.Future[SendResult]) -> None:
        # Shielded: a stop cancels this task, yet the verdict must still arrive for settle_rest.
        result = await asyncio.shield(future)
        rows = self._batches.pop(future)
        try:
            await self._mark(result, rows)
        finally:
            self._in_flight.difference_update(rows)
            self._refused.difference_update(rows)
            freed = [self._held.pop(self._behind.pop(record, 0), None) for record in rows]
        if any(failure is Failure.FATAL for _, failure, _ in result.failed):
            raise ProducerDied("Kafka's producer reported a fatal error.")
        # A verdict by itself gives a scan nothing to find: under load every second one came back empty.
        if self._full or result.failed or any(freed):
            self._database.wakeups.ring(RELAY)

    async def settle_rest(self) -> None:
        """Mark what was acknowledged while stopping; errors leave it PENDING, to be sent once more."""
        for future, rows in list(self._batches.items()):
            if future.done() and not future.cancelled():
                try:
                    await self._mark(future.result(), rows)
                except Exception as error:  # noqa: BLE001 (a loop's edge: the inbox absorbs the duplicate)
                    telemetry.relay_failed(self._service, error)

    async def _mark(self, result: SendResult, rows: dict[int, Any]) -> None:
        if result.acked:
            async with self._marking:
                done = await self._marks.execute(MARK_SENT.text, sorted(result.acked), self._database.now, self._epoch)
            if done == "UPDATE 0":
                raise LeadershipLost(f"Epoch {self._epoch} of the relay is over.")
            telemetry.OUTBOX_SENT.labels(self._service).inc(len(result.acked))
        tried = [verdict for verdict in map(self._verdict(rows), result.failed) if verdict is not None]
        if tried:
            async with self._marking:
                await self._marks.execute(MARK_TRIED.text, *map(list, zip(*tried, strict=True)), self._epoch)

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
                    wait = backoff(row["attempts"] + 1, first=timedelta(seconds=1), most=timedelta(minutes=1))
                    return record, final, why, None if final else now + wait
                case Failure.TOPIC:
                    if row["topic"] not in self._paused:
                        telemetry.topic_paused(self._service, row["topic"], why)
                    self._paused[row["topic"]] = self._moment + TOPIC_PAUSE_SECONDS
                case Failure.BROKER | Failure.FATAL:
                    pass
            return None

        return judge


def _topic(row: Any) -> str:
    return row["topic"]  # type: ignore[no-any-return]


def _outgoing(row: Any) -> Outgoing:
    return Outgoing(
        row["id"],
        row["topic"],
        row["key"],
        row["value"],
        row["before_id"],
        [
            ("traceparent", traceparent(row["trace_id"]).encode()),
            ("content-type", b"application/json"),
            ("aggregate-sequence", str(row["sequence"]).encode()),
        ],
    )
