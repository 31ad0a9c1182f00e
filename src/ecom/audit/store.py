"""The audit's SQL about the services' own tables. A statement only reads, and one schema: its heading says whose."""

from __future__ import annotations

from dovecote.sql import Sql

# -- order ----------------------------------------------------------------------------------------------------

# A page, by id. A digest stands for the lines, merged by SKU: the memory of an audit is mostly orders.
ORDERS = Sql("""
    SELECT o.id, o.status, o.currency, o.total_amount, lines.skus, lines.digest
      FROM orders AS o
     CROSS JOIN LATERAL (
           SELECT count(*) AS skus,
                  md5(string_agg(each.sku || ' ' || each.quantity, E'\n' ORDER BY each.sku COLLATE "C")) AS digest
             FROM (SELECT item ->> 'sku' AS sku, sum((item ->> 'quantity')::bigint) AS quantity
                     FROM jsonb_array_elements(o.items) AS item
                    GROUP BY item ->> 'sku') AS each) AS lines
     WHERE o.id > $1
     ORDER BY o.id
     LIMIT $2
""")
ORDERS_NAMED = Sql("""
    SELECT id, user_id, currency, total_amount, items FROM orders WHERE id = ANY($1::text[])
""")
ORDERS_OF_TRACES = Sql("""
    SELECT trace_id, array_agg(id ORDER BY id) AS ids FROM orders WHERE trace_id = ANY($1::text[]) GROUP BY trace_id
""")
ORDERS_OVERDUE = Sql("""
    SELECT id, deadline FROM orders WHERE status = 'PAYMENT_PENDING' AND deadline < $1 ORDER BY id
""")
# $1: the final statuses; $2, $3: the allowed changes.
TRANSITIONS_FORBIDDEN = Sql("""
    SELECT t.order_id, t.sequence, t.from_status, t.to_status
      FROM order_transition AS t
     WHERE t.from_status = ANY($1::text[])
        OR (t.from_status, t.to_status) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))
     ORDER BY 1, 2
""")
DECISIONS_WITH_TWO_WINNERS = Sql("""
    SELECT order_id, from_status, count(*) AS ways, string_agg(to_status, ', ' ORDER BY sequence) AS winners
      FROM order_transition
     GROUP BY order_id, from_status
    HAVING count(*) > 1
     ORDER BY 1, 2
""")
# What DECISIONS_WITH_TWO_WINNERS finds breaks the chain as well and is not said twice.
HISTORIES_BROKEN = Sql("""
    WITH step AS (
        SELECT order_id, sequence, from_status, to_status,
               lag(to_status, 1, 'PAYMENT_PENDING') OVER history AS was,
               lag(sequence, 1, 1::bigint) OVER history AS before,
               lead(sequence) OVER history IS NULL AS is_last,
               count(*) OVER (PARTITION BY order_id, from_status) AS ways
          FROM order_transition
        WINDOW history AS (PARTITION BY order_id ORDER BY sequence)
    )
    SELECT order_id, sequence, 'left ' || from_status || ' #' || sequence - 1 AS was, was || ' #' || before AS told
      FROM step
     WHERE ways = 1 AND (from_status <> was OR sequence <> before + 1)
    UNION ALL
    SELECT coalesce(o.id, s.order_id), coalesce(o.sequence, s.sequence),
           coalesce('is ' || o.status || ' #' || o.sequence, 'no such order'),
           coalesce(s.to_status, 'PAYMENT_PENDING') || ' #' || coalesce(s.sequence, 1)
      FROM orders AS o
      FULL JOIN (SELECT * FROM step WHERE is_last) AS s ON s.order_id = o.id
     WHERE (o.status, o.sequence) IS DISTINCT FROM (coalesce(s.to_status, 'PAYMENT_PENDING'), coalesce(s.sequence, 1))
     ORDER BY 1, 2
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
           count(*) FILTER (WHERE status = 'RELEASED') AS released,
           md5(string_agg(sku || ' ' || quantity, E'\n' ORDER BY sku COLLATE "C")) AS digest
      FROM reservation
     WHERE order_id IS NOT NULL
     GROUP BY order_id
""")
# Like the two below: $1 is how far back nothing has been cleaned up; $2, $3 what each state may have said, in order.
HOLDS_AND_EVENTS_AMISS = Sql("""
    WITH said AS (
        SELECT aggregate_id AS id, max(sequence) AS sequence, string_agg(event_type, ' ' ORDER BY sequence) AS story
          FROM outbox_event_record
         WHERE aggregate_type = 'order' AND created_at >= $1
         GROUP BY aggregate_id
    )
    SELECT coalesce(h.order_id, s.id) AS id, h.state, h.sequence, s.story
      FROM order_hold AS h
      FULL JOIN said AS s ON s.id = h.order_id
     WHERE h.order_id IS NULL
        OR s.sequence > h.sequence
        OR (h.created_at >= $1
            AND (h.sequence <> coalesce(s.sequence, 0)
                 OR (h.state, coalesce(s.story, '')) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))))
     ORDER BY 1
""")
# One change by hand moves a SKU once.
REPEATED_MOVEMENTS = Sql("""
    SELECT sku, trace_id, count(*) AS times
      FROM stock_movement
     GROUP BY sku, trace_id, created_at
    HAVING count(*) > 1
     ORDER BY 1, 2
""")

# -- payment --------------------------------------------------------------------------------------------------

PAYMENTS = Sql("SELECT order_id, payment_id, settlement FROM payment")
PAYMENTS_AND_EVENTS_AMISS = Sql("""
    WITH said AS (
        SELECT aggregate_id AS id, max(sequence) AS sequence, string_agg(event_type, ' ' ORDER BY sequence) AS story
          FROM outbox_event_record
         WHERE aggregate_type = 'payment' AND created_at >= $1
         GROUP BY aggregate_id
    )
    SELECT coalesce(p.order_id, s.id) AS id, p.stage AS state, p.sequence, s.story
      FROM payment AS p
      FULL JOIN said AS s ON s.id = p.order_id
     WHERE p.order_id IS NULL
        OR s.sequence > p.sequence
        OR (p.created_at >= $1
            AND (p.sequence <> coalesce(s.sequence, 0)
                 OR (p.stage, coalesce(s.story, '')) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))))
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
# A mail stands in one open intent at a time.
REPEATED_MAIL_INTENTS = Sql("""
    SELECT mail ->> 'event_id' AS event_id, count(*) AS times
      FROM intent AS i
     CROSS JOIN jsonb_array_elements(convert_from(i.body, 'UTF8')::jsonb -> 'mails') AS mail
     WHERE i.kind = 'mail' AND i.status = 'PENDING'
     GROUP BY 1
    HAVING count(*) > 1
     ORDER BY 1
""")
# A mail that is given up says two events, $2 and $3, and may be given up again when people have asked for it.
NOTIFICATIONS_AND_EVENTS_AMISS = Sql("""
    WITH said AS (
        SELECT aggregate_id AS id, max(sequence) AS sequence, string_agg(event_type, ' ' ORDER BY sequence) AS story,
               count(*) FILTER (WHERE event_type <> CASE sequence % 2 WHEN 1 THEN $2::text ELSE $3::text END) AS wrong
          FROM outbox_event_record
         WHERE aggregate_type = 'notification' AND created_at >= $1
         GROUP BY aggregate_id
    ), given_up AS (
        SELECT event_id::text AS id, status, sequence, created_at
          FROM notification
         WHERE sequence > 0 OR status = 'DEAD_LETTER'
    )
    SELECT coalesce(n.id, s.id) AS id, n.status AS state, n.sequence, s.story
      FROM given_up AS n
      FULL JOIN said AS s USING (id)
     WHERE n.id IS NULL
        OR s.wrong > 0
        OR s.sequence > n.sequence
        OR (n.created_at >= $1 AND (n.sequence <> coalesce(s.sequence, 0) OR n.sequence % 2 <> 0 OR n.sequence = 0))
     ORDER BY 1
""")
MAILS_TWICE = Sql("""
    SELECT order_id, event_type, count(*) AS keys
      FROM notification
     GROUP BY order_id, event_type
    HAVING count(*) > 1
     ORDER BY 1, 2
""")
MAILS_UNSENT = Sql("""
    SELECT order_id, event_type, status FROM notification WHERE status <> 'SENT' ORDER BY order_id, event_type
""")
# Whoever ordered is named by order.created; a mail to somebody else is about no order.
MAILS_OF_NO_ORDER = Sql("""
    SELECT n.order_id, n.event_type
      FROM notification AS n
     WHERE NOT EXISTS (SELECT FROM order_recipient AS r WHERE r.order_id = n.order_id AND r.user_id IS NOT NULL)
     ORDER BY 1, 2
""")
# $1: the group; $2: events that it has heard. What waits for its order is told by NEWS_WAITING.
EVENTS_WITHOUT_MAIL = Sql("""
    SELECT c.event_id, c.event_type
      FROM consumed_event_record AS c
     WHERE c.consumer_group = $1 AND c.event_id = ANY($2::uuid[]) AND c.outcome = 'PROCESSED'
       AND NOT EXISTS (SELECT FROM notification AS n WHERE n.event_id = c.event_id)
       AND NOT EXISTS (SELECT FROM waiting_news AS w WHERE w.event_id = c.event_id)
     ORDER BY c.event_id
""")
NEWS_WAITING = Sql("SELECT order_id, event_type FROM waiting_news ORDER BY order_id, event_type")
MAILS_SENT = Sql("SELECT event_id FROM notification WHERE status = 'SENT' AND event_id > $1 ORDER BY event_id LIMIT $2")
MAILS_UNKNOWN = Sql("""
    SELECT k.event_id
      FROM unnest($1::uuid[]) AS k(event_id)
     WHERE NOT EXISTS (SELECT FROM notification AS n WHERE n.event_id = k.event_id)
     ORDER BY 1
""")

# -- product, and who keeps a copy of it: a page of each, by id ------------------------------------------------

# The last event says whether the product is deleted: $2 is what says so.
PRODUCTS_AND_EVENTS_AMISS = Sql("""
    WITH said AS (
        SELECT aggregate_id AS id, max(sequence) AS sequence, string_agg(event_type, ' ' ORDER BY sequence) AS story,
               (array_agg(event_type ORDER BY sequence DESC))[1] = $2::text AS deleted
          FROM outbox_event_record
         WHERE aggregate_type = 'product' AND created_at >= $1
         GROUP BY aggregate_id
    )
    SELECT coalesce(p.id, s.id) AS id, CASE WHEN p.deleted THEN 'deleted' ELSE 'live' END AS state,
           p.version AS sequence, s.story
      FROM product AS p
      FULL JOIN said AS s ON s.id = p.id
     WHERE p.id IS NULL
        OR s.sequence > p.version
        OR (p.updated_at >= $1 AND (p.version <> coalesce(s.sequence, 0) OR p.deleted <> s.deleted))
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
