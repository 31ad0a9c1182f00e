"""All SQL of the audit. Every statement only reads, and reads one service's schema: its constant says whose."""

from __future__ import annotations

from dovecote.sql import Sql

# -- order ----------------------------------------------------------------------------------------------------

ORDERS = Sql("""
    SELECT o.id, o.status, o.currency, o.total_amount, o.deadline,
           (SELECT count(DISTINCT item ->> 'sku') FROM jsonb_array_elements(o.items) AS item) AS skus
      FROM orders AS o
""")
ORDERS_OVERDUE = Sql("""
    SELECT id, deadline FROM orders WHERE status = 'PAYMENT_PENDING' AND deadline < $1 ORDER BY id
""")
# $1, $2: the statuses and the event that tells of each; $3: rows older than this may have been cleaned up.
ORDER_EVENTS_AMISS = Sql("""
    WITH expected AS (
        SELECT o.id AS order_id, 1::bigint AS sequence, 'PAYMENT_PENDING' AS status
          FROM orders AS o
         WHERE o.created_at >= $3
        UNION ALL
        SELECT t.order_id, t.sequence, t.to_status FROM order_transition AS t WHERE t.at >= $3
    ), said AS (
        SELECT aggregate_id AS order_id, sequence, event_type
          FROM outbox_event_record
         WHERE aggregate_type = 'order' AND created_at >= $3
    ), told AS (
        SELECT * FROM unnest($1::text[], $2::text[]) AS told(status, event_type)
    )
    SELECT coalesce(e.order_id, s.order_id) AS order_id, coalesce(e.sequence, s.sequence) AS sequence, e.status,
           s.event_type
      FROM (SELECT expected.*, told.event_type FROM expected LEFT JOIN told USING (status)) AS e
      FULL JOIN said AS s USING (order_id, sequence)
     WHERE e.event_type IS DISTINCT FROM s.event_type
     ORDER BY 1, 2
""")

# -- inventory ------------------------------------------------------------------------------------------------

STOCK_BELOW_ZERO = Sql("""
    SELECT sku, available, reserved FROM stock WHERE available < 0 OR reserved < 0 ORDER BY sku
""")
STOCK_UNBALANCED = Sql("""
    WITH promised AS (
        SELECT sku,
               coalesce(sum(quantity) FILTER (WHERE status = 'RESERVED'), 0) AS reserved,
               coalesce(sum(quantity) FILTER (WHERE status = 'CONFIRMED'), 0) AS confirmed
          FROM reservation
         GROUP BY sku
    ), moved AS (
        SELECT sku, sum(delta) AS existing FROM stock_movement GROUP BY sku
    )
    SELECT coalesce(s.sku, p.sku, m.sku) AS sku, s.available, s.reserved,
           coalesce(p.reserved, 0) AS promised, coalesce(p.confirmed, 0) AS confirmed,
           coalesce(m.existing, 0) AS existing
      FROM stock AS s
      FULL JOIN promised AS p ON p.sku = s.sku
      FULL JOIN moved AS m ON m.sku = coalesce(s.sku, p.sku)
     WHERE coalesce(s.reserved, 0) <> coalesce(p.reserved, 0)
        OR coalesce(s.available, 0) + coalesce(s.reserved, 0) + coalesce(p.confirmed, 0) <> coalesce(m.existing, 0)
     ORDER BY 1
""")
HOLDINGS = Sql("""
    SELECT order_id,
           count(*) AS lines,
           count(DISTINCT sku) AS skus,
           count(*) FILTER (WHERE status = 'RESERVED') AS reserved,
           count(*) FILTER (WHERE status = 'CONFIRMED') AS confirmed,
           count(*) FILTER (WHERE status = 'RELEASED') AS released
      FROM reservation
     WHERE order_id IS NOT NULL
     GROUP BY order_id
""")
HOLDS_AND_EVENTS_AMISS = Sql("""
    SELECT h.order_id AS id, h.sequence, coalesce(max(o.sequence), 0) AS said
      FROM order_hold AS h
      LEFT JOIN outbox_event_record AS o ON o.aggregate_id = h.order_id
     WHERE h.created_at >= $1
     GROUP BY h.order_id, h.sequence
    HAVING h.sequence <> coalesce(max(o.sequence), 0)
     ORDER BY 1
""")

# -- payment --------------------------------------------------------------------------------------------------

PAYMENTS = Sql("SELECT order_id, payment_id, settlement FROM payment")
PAYMENTS_AND_EVENTS_AMISS = Sql("""
    SELECT p.order_id AS id, p.sequence, coalesce(max(o.sequence), 0) AS said
      FROM payment AS p
      LEFT JOIN outbox_event_record AS o ON o.aggregate_id = p.order_id
     WHERE p.created_at >= $1
     GROUP BY p.order_id, p.sequence
    HAVING p.sequence <> coalesce(max(o.sequence), 0)
     ORDER BY 1
""")
# An operation is asked of the provider under one key an order.
REPEATED_CALLS = Sql("""
    SELECT kind, subject, count(*) AS times FROM intent GROUP BY kind, subject HAVING count(*) > 1 ORDER BY 1, 2
""")

# -- notification ---------------------------------------------------------------------------------------------

REPEATED_MAILS = Sql("""
    SELECT event_id, count(*) AS times FROM notification GROUP BY event_id HAVING count(*) > 1 ORDER BY event_id
""")

# -- product, and who keeps a copy of it: a page of each, by id ------------------------------------------------

PRODUCTS_AND_EVENTS_AMISS = Sql("""
    SELECT p.id, p.version AS sequence, coalesce(max(o.sequence), 0) AS said
      FROM product AS p
      LEFT JOIN outbox_event_record AS o ON o.aggregate_type = 'product' AND o.aggregate_id = p.id
     WHERE p.updated_at >= $1
     GROUP BY p.id, p.version
    HAVING p.version <> coalesce(max(o.sequence), 0)
     ORDER BY 1
""")
PRODUCTS = Sql("""
    SELECT id, name, price, currency, active, deleted, version FROM product WHERE id > $1 ORDER BY id LIMIT $2
""")
DOCUMENTS = Sql("""
    SELECT product_id AS id, name, price, active, deleted, version
      FROM document
     WHERE slot = (SELECT live FROM index_state) AND product_id > $1
     ORDER BY product_id
     LIMIT $2
""")
PRICES = Sql("""
    SELECT product_id AS id, price, currency, active, deleted, version
      FROM price
     WHERE product_id > $1
     ORDER BY product_id
     LIMIT $2
""")

# -- any service ----------------------------------------------------------------------------------------------

OUTBOX_SENT = Sql("""
    SELECT event_id, md5(value) AS digest FROM outbox_event_record WHERE status = 'SENT' AND created_at >= $1
""")
OUTBOX_KNOWN = Sql("""
    SELECT k.event_id
      FROM unnest($1::uuid[]) AS k(event_id)
      LEFT JOIN outbox_event_record AS o ON o.event_id = k.event_id
     GROUP BY k.event_id
    HAVING count(o.id) <> 1
""")
OUTBOX_WITH_GAPS = Sql("""
    SELECT aggregate_type, aggregate_id, min(sequence) AS first, max(sequence) AS last, count(*) AS kept
      FROM outbox_event_record
     WHERE created_at >= $1
     GROUP BY aggregate_type, aggregate_id
    HAVING max(sequence) - min(sequence) + 1 <> count(*)
     ORDER BY 1, 2
""")
OUTBOX_STUCK = Sql("""
    SELECT id, event_type, status, created_at
      FROM outbox_event_record
     WHERE status = 'FAILED' OR (status = 'PENDING' AND created_at < $1)
     ORDER BY id
""")
UNHEARD_EVENTS = Sql("""
    SELECT k.event_id
      FROM unnest($2::uuid[]) AS k(event_id)
     WHERE NOT EXISTS (SELECT FROM consumed_event_record AS c
                        WHERE c.consumer_group = $1 AND c.event_id = k.event_id)
""")
DEAD_LETTERS = Sql("""
    SELECT topic, partition, "offset" FROM dead_letter WHERE consumer_group = $1
""")
