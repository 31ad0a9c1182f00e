"""What a leader writes about a record: SENT, tried, or blocked. What comes after its epoch is over marks nothing."""

from __future__ import annotations

from dovecote.sql import Sql

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
