"""All SQL of the demo: it looks at the shop's tables to see how far things are, and writes nothing."""

from __future__ import annotations

from dovecote.sql import Sql

COUNT_BY_STATUS = Sql("SELECT status, count(*) AS orders FROM orders GROUP BY status ORDER BY status")
COUNT_ALL = Sql("SELECT count(*) FROM orders")
COUNT_OPEN = Sql("SELECT count(*) FROM orders WHERE status = 'PAYMENT_PENDING'")
COUNT_BY_EVENT = Sql("""
    SELECT event_type, count(*) AS events FROM outbox_event_record GROUP BY event_type ORDER BY event_type
""")
COUNT_BY_REASON = Sql("""
    SELECT status, coalesce(reason, '') AS reason, count(*) AS orders
      FROM orders
     GROUP BY status, reason
     ORDER BY status, orders DESC, reason
""")
# The first change of an order's status is its end as the customer sees it: CONFIRMED, or the reason why not.
LATENCIES = Sql("""
    SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY waited)
               FILTER (WHERE to_status = 'CONFIRMED') AS confirmed,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY waited) AS everyone,
           count(*) FILTER (WHERE to_status <> 'TIMED_OUT') AS answered,
           extract(epoch FROM max(at) FILTER (WHERE to_status <> 'TIMED_OUT') - min(created_at)) AS seconds
      FROM (SELECT DISTINCT ON (t.order_id)
                   t.to_status, t.at, o.created_at,
                   extract(epoch FROM t.at - o.created_at) * 1000 AS waited
              FROM order_transition AS t
              JOIN orders AS o ON o.id = t.order_id
             WHERE o.created_at >= $1
             ORDER BY t.order_id, t.sequence) AS first
""")
OUTBOX_WAITING = Sql("SELECT count(*) FROM outbox_event_record WHERE status = 'PENDING' AND blocked_by IS NULL")
INTENTS_OPEN = Sql("SELECT count(*) FROM intent WHERE status = 'PENDING'")
LETTERS_OPEN = Sql("SELECT count(*) FROM dead_letter WHERE status = 'RETRYING'")
