"""One relay's term in office: scan, send, mark. Read this page to know when an outbox record leaves.

A record leaves only behind its aggregate's earlier ones: each is held against its predecessor's state, so an id
that became visible late is never skipped and never overtaken, whatever the floor of the scan. It may be in flight
together with its predecessor only where Kafka keeps their order: same topic, same key.

What this process commits itself is handed over, and needs no scan: it is in the outbox all the same, and whatever is
not taken over here is found there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dovecote import telemetry
from dovecote.errors import LeadershipLost
from dovecote.kafka import Failure, KafkaProducer, SendResult
from dovecote.leadership import BEAT_SECONDS, beat
from dovecote.marks import MARK_BLOCKED, MARK_SENT, MARK_TRIED
from dovecote.outbox import Waiting
from dovecote.precedence import HANDED_OVER, Before, Precedence
from dovecote.retry import backoff
from dovecote.scan import PIN_PLANS, SCAN_MIN, Scan
from dovecote.settled import SETTLE_SECONDS, Settled
from dovecote.wakeups import HANDED, RELAY

if TYPE_CHECKING:
    from dovecote.database import Database

# Three full scans.
IN_FLIGHT_MAX = 12_000
# A few marks wait a moment for others, unless a record waits for them: at 500 commits a second that is 100 statements
# and durable commits less.
MARK_AT_ONCE, MARK_PAUSE_SECONDS = 200, 0.005
# Under a stream of commits a scan would follow the other without a pause, and take a core for rows by ones and twos.
SCAN_EVERY_SECONDS = 0.002
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
        self._acked: list[int] = []  # to be marked
        self._refused: set[int] = set()  # in flight for us only: Kafka never saw them, so nothing may follow
        self._batches: dict[asyncio.Future[SendResult], dict[int, Waiting]] = {}
        self._paused: dict[str, float] = {}
        self._held: dict[int, float] = {}
        self._behind: dict[int, int] = {}  # a record in flight → the held one that follows it
        self._settled = Settled(epoch)
        self._look = Scan(database, self._settled)
        self._full = False  # no scan until something in flight has its verdict
        self._scan_at = 0.0  # no later than that
        self._handed: list[Waiting] = []  # committed by this process, and not looked at yet
        self._precedence = Precedence()
        self._follows: dict[int, int] = {}  # of the records that are about to be handed over: which each follows

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
                    self._look.look_behind()

    def hand_over(self, records: Sequence[Waiting]) -> None:
        """Take records that this process has committed just now.

        It saves the scan that would find them, of which reading them back is the smaller part: a tenth of PostgreSQL's
        time for an order in bulk.
        """
        self._handed += records
        self._database.wakeups.ring(HANDED)

    async def send_loop(self, scans: Any, group: asyncio.TaskGroup) -> None:
        """Scan and send; verdicts are marked by tasks of their own, so that Kafka and PostgreSQL overlap."""
        await scans.execute(PIN_PLANS.text)
        await self._settled.read(scans)
        while True:
            began = self._moment
            room = min(self._look.size, IN_FLIGHT_MAX - len(self._in_flight))
            room = room if room >= SCAN_MIN else 0  # not a scan for every few that leave
            self._full = not room
            is_scan = room > 0 and self._seconds_to_scan() == 0
            goes_on = self._look.goes_on
            found = await self._scan(scans, room) if is_scan else []
            records = [*found, *self._taken_over(found)] if self._handed else found
            await self._precedence.look_up(scans, records)
            sendable, blocked = self._sort(records)
            # A batch for each topic: one that waits for its topic's metadata keeps no other's verdict waiting.
            for topic in sorted({record.topic for record in sendable}):
                self._send([record for record in sendable if record.topic == topic], group)
            if blocked:  # after the others: what they follow may have failed by the end of a statement
                async with self._marking:
                    await self._marks.execute(MARK_BLOCKED.text, *map(list, zip(*blocked, strict=True)))
            if is_scan and (len(found) == room or goes_on):
                self._scan_at = 0.0
                continue
            rung = await self._database.wakeups.wait(RELAY, HANDED, seconds=self._seconds_to_scan() or POLL_SECONDS)
            if RELAY in rung:
                self._scan_at = 0.0
                await asyncio.sleep(max(0.0, began + SCAN_EVERY_SECONDS - self._moment))

    def _taken_over(self, found: Sequence[Waiting]) -> list[Waiting]:
        """What was handed over and no scan has found, ascending; where it is too much, a scan will find it."""
        handed, self._handed = self._handed, []
        if self._look.goes_on or len(self._in_flight) + len(found) + len(handed) > IN_FLIGHT_MAX:
            self._scan_at = 0.0
            return []
        seen = {record.id for record in found}
        fresh = [
            record
            for record in sorted(handed, key=lambda record: record.id)
            if record.id not in seen
            and record.id not in self._in_flight
            and record.topic not in self._paused
            and not self._precedence.is_noted(record)
        ]
        self._look.take_over(fresh)
        return fresh

    def _send(self, records: Sequence[Waiting], group: asyncio.TaskGroup) -> None:
        batch = {record.id: record for record in records}
        future, refused = self._producer.send(records, self._follows)
        self._in_flight.update(batch)
        self._refused |= refused
        self._precedence.forget(batch[record] for record in refused)
        self._batches[future] = batch
        group.create_task(self._settle(future))

    @property
    def _moment(self) -> float:
        """Seconds of the monotonic clock."""
        return self._database.clock.monotonic()

    def _seconds_to_scan(self) -> float:
        if not self._held:
            self._behind.clear()
        return max(0.0, min([self._scan_at, *self._held.values()]) - self._moment)

    async def _scan(self, scans: Any, room: int) -> list[Waiting]:
        moment = self._moment
        self._scan_at = moment + POLL_SECONDS
        self._paused = {topic: until for topic, until in self._paused.items() if until > moment}
        if ended := [record for record, until in self._held.items() if until <= moment]:
            self._held = {record: until for record, until in self._held.items() if until > moment}
            self._look.look_again(ended)
        return await self._look.records(
            scans, room, in_flight=self._in_flight, held=self._held, paused=list(self._paused)
        )

    def _sort(self, records: Sequence[Waiting]) -> tuple[list[Waiting], list[tuple[int, int]]]:
        """Records that may leave now, and the ids of those that wait behind a FAILED one (with its id)."""
        sendable: list[Waiting] = []
        leaving: set[int] = set()
        failed: dict[int, int] = {}
        hold = self._moment + max(HOLD_SECONDS, HOLD_SECONDS_EACH * (len(self._held) + len(records)))
        self._follows.clear()
        for record, before in self._precedence.pairs(records):
            if before is None or self._is_ahead(before, record, leaving):
                sendable.append(record)
                leaving.add(record.id)
                self._precedence.note(record)
                if before is not None:
                    self._follows[record.id] = before.id
            elif before.status == "FAILED":
                failed[record.id] = before.id
            elif cause := before.blocked_by or failed.get(before.id):
                failed[record.id] = cause
            else:
                # Its predecessor waits (a paused topic, a backoff, a late commit, another topic's ack): so does
                # this one, out of the scan, lest thousands of its kind fill it.
                self._held[record.id] = hold
                self._behind[before.id] = record.id
        return sendable, list(failed.items())

    def _is_ahead(self, before: Before, record: Waiting, leaving: set[int]) -> bool:
        """Whether a record may follow this one now: it is SENT, or under way where Kafka keeps their order."""
        if before.id in self._in_flight or before.id in leaving:
            is_together = before.topic == record.topic and before.key == record.key
            return before.status == "SENT" or (is_together and before.id not in self._refused)
        return before.status in (HANDED_OVER, "SENT")

    async def _settle(self, future: asyncio.Future[SendResult]) -> None:
        # Shielded: a stop cancels this task, yet the verdict must still arrive for settle_rest.
        result = await asyncio.shield(future)
        batch = self._batches.pop(future)
        # At once: nothing may follow them while what was acknowledged beside them is being marked.
        self._refused.update(record for record, _, _ in result.failed)
        try:
            await self._mark(result, batch)
        finally:
            self._precedence.forget(batch[record] for record, _, _ in result.failed)
            self._in_flight.difference_update(batch)
            self._refused.difference_update(batch)
            followers = [self._behind.pop(record, 0) for record in batch] if self._behind else []
            freed = [record for record in followers if self._held.pop(record, None) is not None]
            self._look.look_again([*freed, *(record for record, _, _ in result.failed)])
        if any(failure is Failure.FATAL for _, failure, _ in result.failed):
            raise ProducerDied("Kafka's producer reported a fatal error.")
        # A verdict by itself gives a scan nothing to find: under load every second one came back empty.
        if self._full or result.failed or freed:
            self._database.wakeups.ring(RELAY)

    async def settle_rest(self) -> None:
        """Mark what was acknowledged while stopping; errors leave it PENDING, to be sent once more."""
        ended = {future: batch for future, batch in self._batches.items() if future.done() and not future.cancelled()}
        rest, self._acked = [SendResult(self._acked), *(future.result() for future in ended)], []
        records = {record: one for batch in ended.values() for record, one in batch.items()}
        for result in rest:
            try:
                await self._mark(result, records)
            except Exception as error:  # noqa: BLE001 (a loop's edge: the inbox absorbs the duplicate)
                telemetry.relay_failed(self._service, error)

    async def _mark(self, result: SendResult, records: dict[int, Waiting]) -> None:
        if result.acked:
            self._acked += result.acked
            async with self._marking:
                await self._mark_sent()
        tried = [verdict for verdict in map(self._verdict(records), result.failed) if verdict is not None]
        if tried:
            async with self._marking:
                await self._marks.execute(MARK_TRIED.text, *map(list, zip(*tried, strict=True)), self._epoch)

    async def _mark_sent(self) -> None:
        """Mark all that is acknowledged by now; who comes second finds that his was marked with the first's."""
        if 0 < len(self._acked) < MARK_AT_ONCE and not self._behind:
            await asyncio.sleep(MARK_PAUSE_SECONDS)
        records, self._acked = sorted(self._acked), []
        if records:
            done = await self._marks.execute(MARK_SENT.text, records, self._database.now, self._epoch)
            if done == "UPDATE 0":
                raise LeadershipLost(f"Epoch {self._epoch} of the relay is over.")
            telemetry.OUTBOX_SENT.labels(self._service).inc(len(records))

    def _verdict(self, records: dict[int, Waiting]) -> Any:
        now = self._database.now

        def judge(failed: tuple[int, Failure, str]) -> tuple[int, bool, str, Any] | None:
            record, failure, why = failed
            topic, attempts = records[record].topic, records[record].attempts
            match failure:
                case Failure.RECORD:
                    telemetry.record_refused(self._service, record, topic, why)
                    return record, True, why, None
                case Failure.OTHER:
                    final = attempts + 1 >= self._attempts_max
                    if final:
                        telemetry.record_refused(self._service, record, topic, why)
                    wait = backoff(attempts + 1, first=timedelta(seconds=1), most=timedelta(minutes=1))
                    return record, final, why, None if final else now + wait
                case Failure.TOPIC:
                    if topic not in self._paused:
                        telemetry.topic_paused(self._service, topic, why)
                    self._paused[topic] = self._moment + TOPIC_PAUSE_SECONDS
                case Failure.BROKER | Failure.FATAL:
                    pass
            return None

        return judge
