"""What waits in the outbox, oldest first: a scan from a hint, a sweep behind it, and a walk ahead while it is much."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from dovecote.floor import Floor
from dovecote.outbox import Waiting
from dovecote.settled import Settled
from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database

SCAN = Sql("""
    SELECT id, topic, key, value, trace_id, sequence, attempts, aggregate_type, aggregate_id
      FROM outbox_event_record
     WHERE status = 'PENDING' AND blocked_by IS NULL AND NOT behind AND id >= $1
       AND id NOT IN (SELECT unnest($2::bigint[]))
       AND topic <> ALL($3::text[]) AND (next_attempt_at IS NULL OR next_attempt_at <= $4)
     ORDER BY id
     LIMIT $5
""")
# Before those the ones that a scan no longer looks at: replayed, or PENDING for long.
SWEEP = Sql("""
    (SELECT id, topic, key, value, trace_id, sequence, attempts, aggregate_type, aggregate_id, behind
       FROM outbox_event_record
      WHERE status = 'PENDING' AND blocked_by IS NULL AND behind
        AND id NOT IN (SELECT unnest($2::bigint[]))
        AND topic <> ALL($3::text[]) AND (next_attempt_at IS NULL OR next_attempt_at <= $4)
      ORDER BY id
      LIMIT $5)
    UNION ALL
    (SELECT id, topic, key, value, trace_id, sequence, attempts, aggregate_type, aggregate_id, behind
       FROM outbox_event_record
      WHERE status = 'PENDING' AND blocked_by IS NULL AND NOT behind AND id >= $1
        AND id NOT IN (SELECT unnest($2::bigint[]))
        AND topic <> ALL($3::text[]) AND (next_attempt_at IS NULL OR next_attempt_at <= $4)
      ORDER BY id
      LIMIT $5)
    LIMIT $5
""")
# A scan walks an index in the order of ids and stops: whatever the statistics say, e.g. none yet, when it took to
# sorting the whole backlog (5,000 events/s). The one generic plan saves 0.5 ms of planning for each scan.
PIN_PLANS = Sql("""
    SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
           set_config('enable_sort', 'off', false), set_config('enable_bitmapscan', 'off', false),
           set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
           set_config('enable_mergejoin', 'off', false), set_config('max_parallel_workers_per_gather', '0', false)
""")
# A scan takes the first number where little is waiting, and up to the second where much is.
SCAN_MIN, SCAN_MAX = 1000, 4000
# In a drain a scan goes on where the last one ended, and looks back for what became visible late only so often: walking
# what was sent meanwhile cost as much as all else.
LOOK_BACK_SECONDS = 0.3


class Scan:
    """Finds records that may be sent; those that are in flight, held or paused are the caller's to name."""

    def __init__(self, database: Database, settled: Settled) -> None:
        self._database = database
        self._settled = settled
        self._floor = Floor()
        self._look_behind = False  # records were found behind, and not all of them have left
        self._ahead = 0  # in a drain: no record from here on was seen yet
        self._look_back_at = 0.0
        self.size = SCAN_MIN

    @property
    def goes_on(self) -> bool:
        """Whether the next scan only walks ahead, so that finding little does not mean that little waits."""
        return self._ahead > 0

    def look_behind(self) -> None:
        """Records were left behind."""
        self._look_behind = True

    async def records(
        self, scans: Any, room: int, *, in_flight: Collection[int], held: Collection[int], paused: Sequence[str]
    ) -> list[Waiting]:
        """At most so many records."""
        moment, now = self._database.clock.monotonic(), self._database.now
        is_sweep = self._floor.sweep_is_due(moment)
        if self._ahead and not is_sweep and moment < self._look_back_at:
            rows = await scans.fetch(SCAN.text, self._ahead, [], paused, now, room)
            return self._seen([Waiting(*row) for row in rows], room, self._ahead)
        self._look_back_at = moment + LOOK_BACK_SECONDS
        start = self._settled.below if is_sweep else self._floor.start(moment)
        elsewhere = [*in_flight, *held]
        if not (is_sweep or self._look_behind):
            elsewhere = [record for record in elsewhere if record >= start]
            rows = await scans.fetch(SCAN.text, start, elsewhere, paused, now, room)
            return self._seen([Waiting(*row) for row in rows], room, start)
        rows = await scans.fetch(SWEEP.text, start, elsewhere, paused, now, room)
        behind = [Waiting(*row[:-1]) for row in rows if row["behind"]]
        ahead = [Waiting(*row[:-1]) for row in rows if not row["behind"]]
        self._look_behind = bool(behind) or (self._look_behind and bool(elsewhere))
        if is_sweep:
            self._floor.swept(moment, seconds=self._database.clock.monotonic() - moment)
        return [*behind, *self._seen(ahead, room - len(behind), start)]

    def take_over(self, records: Sequence[Waiting]) -> None:
        """These were handed over: no scan need look for them."""
        self._floor.saw(self._database.clock.monotonic(), self._floor.next, (record.id for record in records))

    def look_again(self, records: Collection[int]) -> None:
        """These were found, have not left, and may leave now."""
        self._floor.look_again(self._database.clock.monotonic(), records)

    def _seen(self, records: list[Waiting], room: int, start: int) -> list[Waiting]:
        """Where a scan was full, the next one takes more, and need not look at these again."""
        self._floor.saw(self._database.clock.monotonic(), start, (record.id for record in records))
        is_full = 0 < room <= len(records)
        self._ahead = self._floor.next if is_full else 0
        self.size = min(SCAN_MAX, 2 * self.size) if is_full else SCAN_MIN
        return records
