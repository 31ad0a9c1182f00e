"""The audit's SQL about what every service has: the library's tables, and the sessions and locks of its server."""

from __future__ import annotations

from dovecote.sql import Sql

# -- outbox ---------------------------------------------------------------------------------------------------

# A page, by id.
OUTBOX_SENT = Sql("""
    SELECT id, event_id, topic, sent_at, decode(md5(value), 'hex') AS digest
      FROM outbox_event_record
     WHERE status = 'SENT' AND created_at >= $1 AND id > $2
     ORDER BY id
     LIMIT $3
""")
OUTBOX_KNOWN = Sql("""
    SELECT k.event_id
      FROM unnest($1::uuid[]) AS k(event_id)
      LEFT JOIN outbox_event_record AS o ON o.event_id = k.event_id
     GROUP BY k.event_id
    HAVING count(o.id) <> 1
""")
# A hole counts where what follows it is young: cleanup may take an older record before its predecessor.
OUTBOX_WITH_GAPS = Sql("""
    WITH suspect AS (
        SELECT aggregate_id, aggregate_type
          FROM outbox_event_record
         GROUP BY aggregate_id, aggregate_type
        HAVING max(sequence) - min(sequence) + 1 <> count(*)
    ), line AS (
        SELECT o.aggregate_type, o.aggregate_id, o.sequence, o.created_at,
               lag(o.sequence) OVER (PARTITION BY o.aggregate_id, o.aggregate_type ORDER BY o.sequence) AS before
          FROM suspect AS s
          JOIN outbox_event_record AS o USING (aggregate_id, aggregate_type)
    )
    SELECT aggregate_type, aggregate_id, sequence, before
      FROM line
     WHERE sequence <> before + 1 AND created_at >= $1
     ORDER BY 1, 2, 3
""")
# The four conditions are all that may be other than SENT, each with its index; the history is not read. What waits for
# a FAILED record is as well off as that one.
OUTBOX_STUCK = Sql("""
    SELECT o.id, o.event_type, o.status, coalesce(f.event_id, o.event_id) AS culprit
      FROM outbox_event_record AS o
      LEFT JOIN outbox_event_record AS f ON f.id = o.blocked_by
     WHERE (o.id >= $2 OR o.behind OR o.failed OR o.blocked_by IS NOT NULL)
       AND (o.status = 'FAILED' OR (o.status = 'PENDING' AND o.created_at < $1))
     ORDER BY o.id
""")

# -- inbox and letters ----------------------------------------------------------------------------------------

UNHEARD_EVENTS = Sql("""
    SELECT k.event_id
      FROM unnest($2::uuid[]) AS k(event_id)
     WHERE NOT EXISTS (SELECT FROM consumed_event_record AS c
                        WHERE c.consumer_group = $1 AND c.event_id = k.event_id)
""")
DEAD_LETTERS = Sql("""
    SELECT topic, partition, "offset", event_id, status FROM dead_letter WHERE consumer_group = $1
""")
# The first batch after an assignment is noted: a note that changes is a new assignment.
ASSIGNMENTS = Sql("""
    SELECT topic, partition, "offset", attempts FROM delivery_attempt WHERE consumer_group = $1 AND stage = 'BATCH'
""")

# -- sessions and locks: what the server itself says ------------------------------------------------------------

# What a session does is shown to its own user; the service's role is another.
AS_LOGIN_USER = Sql("SELECT set_config('role', 'none', true)")
# The same name for one database of one server, and another one once the server has lost its counters with its life.
DEADLOCKS = Sql("""
    SELECT datname || ' since ' || pg_postmaster_start_time() AS place, deadlocks
      FROM pg_stat_database
     WHERE datname = current_database()
""")
SESSIONS_IDLE_IN_TRANSACTION = Sql("""
    SELECT pid, state_change
      FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = $1 AND state LIKE 'idle in transaction%'
       AND state_change < $2
     ORDER BY pid
""")
# The relay's lock belongs to the leader that the table names, and that one beats.
LOCKS_ORPHANED = Sql("""
    SELECT held.pid, leader.pid AS leader, leader.beat_at
      FROM pg_locks AS held
      LEFT JOIN relay_leader AS leader ON leader.single
     WHERE held.locktype = 'advisory' AND held.granted
       AND held.classid = 0 AND held.objid = $1::oid AND held.objsubid = 1
       AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (leader.pid IS DISTINCT FROM held.pid OR leader.beat_at < $2)
     ORDER BY held.pid
""")
