"""What must hold: after every commit in one snapshot of its database, and at rest by the audit's own questions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ecom.provider.interface import Operation
from ecom.provider.ledger import Mark
from tests.simulation.curse import CURSE, CURSES
from tests.simulation.node import Node
from tests.simulation.writes import Touch

if TYPE_CHECKING:
    from tests.simulation.shop import Shop

# One row a violation, by the schema of who committed: only a service's own tables can have a new answer, and its own
# question costs half of all of them. (I3 reads an order's items as well: they are written before and never change.)
GAPS = """
SELECT 'I11 gap', '{0} ' || aggregate_id
  FROM {0}_service.outbox_event_record GROUP BY aggregate_type, aggregate_id
HAVING max(sequence) <> count(*) OR min(sequence) <> 1
"""
ALWAYS: Mapping[str, str] = {
    "order_service": GAPS.format("order")
    + """
UNION ALL
SELECT 'I9', order_id
  FROM order_service.order_transition
 GROUP BY order_id
HAVING count(*) <> count(DISTINCT from_status)
    OR count(*) FILTER (WHERE from_status IN ('FAILED', 'TIMED_OUT', 'CANCELLED')) > 0
UNION ALL
SELECT 'I11 order', coalesce(e.order_id, s.aggregate_id)
  FROM (SELECT id AS order_id, 1::bigint AS sequence, 'order.created.v1' AS event_type FROM order_service.orders
        UNION ALL
        SELECT order_id, sequence, CASE to_status WHEN 'CONFIRMED' THEN 'order.confirmed.v1'
                                                  WHEN 'TIMED_OUT' THEN 'order.timed-out.v1'
                                                  ELSE 'order.cancelled.v1' END
          FROM order_service.order_transition) AS e
  FULL JOIN order_service.outbox_event_record AS s ON s.aggregate_id = e.order_id AND s.sequence = e.sequence
 WHERE e.event_type IS DISTINCT FROM s.event_type
""",
    "payment_service": GAPS.format("payment")
    + """
UNION ALL
SELECT 'I11 payment', p.order_id
  FROM payment_service.payment AS p
 WHERE p.sequence <> (SELECT count(*) FROM payment_service.outbox_event_record WHERE aggregate_id = p.order_id)
UNION ALL
SELECT 'I13 call', kind || ' ' || subject FROM payment_service.intent GROUP BY kind, subject HAVING count(*) > 1
UNION ALL
SELECT 'I13 capture and void', subject
  FROM payment_service.intent GROUP BY subject
HAVING bool_or(kind = 'refund') AND bool_or(kind = 'void')
""",
    "inventory_service": GAPS.format("inventory")
    + """
UNION ALL
SELECT 'I1', sku FROM inventory_service.stock WHERE available < 0 OR reserved < 0
UNION ALL
SELECT 'I2', coalesce(s.sku, p.sku, m.sku)
  FROM inventory_service.stock AS s
  FULL JOIN (SELECT sku, sum(quantity) FILTER (WHERE status = 'RESERVED') AS reserved,
                    sum(quantity) FILTER (WHERE status = 'CONFIRMED') AS confirmed
               FROM inventory_service.reservation GROUP BY sku) AS p ON p.sku = s.sku
  FULL JOIN (SELECT sku, sum(delta) AS existing FROM inventory_service.stock_movement GROUP BY sku) AS m
         ON m.sku = coalesce(s.sku, p.sku)
 WHERE coalesce(s.reserved, 0) <> coalesce(p.reserved, 0)
    OR coalesce(s.available, 0) + coalesce(s.reserved, 0) + coalesce(p.confirmed, 0) <> coalesce(m.existing, 0)
UNION ALL
SELECT 'I3', r.order_id
  FROM inventory_service.reservation AS r
  LEFT JOIN order_service.orders AS o ON o.id = r.order_id
 WHERE r.order_id IS NOT NULL
 GROUP BY r.order_id, o.items
HAVING count(DISTINCT r.status) > 1
    OR count(*) <> (SELECT count(DISTINCT item ->> 'sku') FROM jsonb_array_elements(o.items) AS item)
UNION ALL
SELECT 'I11 inventory', h.order_id
  FROM inventory_service.order_hold AS h
 WHERE h.sequence <> (SELECT count(*) FROM inventory_service.outbox_event_record WHERE aggregate_id = h.order_id)
UNION ALL
SELECT 'expired', order_id FROM inventory_service.order_hold WHERE state = 'EXPIRED'
""",
    "notification_service": GAPS.format("notification"),
}
SET_ASIDE = """
SELECT encode(key, 'escape') FROM inventory_service.dead_letter WHERE event_type = 'payment.authorized.v1'
"""
# What is still to be done, one row each: what waits for time or a turn, and what waits for people.
LEFT = f"""
WITH outboxes AS (
    SELECT 'order' AS service, status FROM order_service.outbox_event_record WHERE status <> 'SENT'
    UNION ALL SELECT 'payment', status FROM payment_service.outbox_event_record WHERE status <> 'SENT'
    UNION ALL SELECT 'inventory', status FROM inventory_service.outbox_event_record WHERE status <> 'SENT'
    UNION ALL SELECT 'notification', status FROM notification_service.outbox_event_record WHERE status <> 'SENT'
), letters AS (
    SELECT 'order' AS service, id, status, error FROM order_service.dead_letter
    UNION ALL SELECT 'payment', id, status, error FROM payment_service.dead_letter
    UNION ALL SELECT 'inventory', id, status, error FROM inventory_service.dead_letter
    UNION ALL SELECT 'notification', id, status, error FROM notification_service.dead_letter
)
SELECT 'outbox' AS kind, service, NULL::bigint AS id FROM outboxes WHERE status = 'PENDING'
UNION ALL
SELECT 'intents', status, NULL::bigint FROM payment_service.intent WHERE status = 'PENDING'
UNION ALL
SELECT 'intents', status, NULL::bigint FROM notification_service.intent WHERE status = 'PENDING'
UNION ALL
SELECT 'orders', status, NULL::bigint FROM order_service.orders WHERE status = 'PAYMENT_PENDING'
UNION ALL
SELECT 'mails', status, NULL::bigint FROM notification_service.notification WHERE status IN ('PENDING', 'FAILED')
UNION ALL
SELECT 'letters', service, id FROM letters WHERE status = 'RETRYING'
UNION ALL
(SELECT DISTINCT 'FAILED', service, NULL::bigint FROM outboxes WHERE status = 'FAILED' ORDER BY 2)
UNION ALL
(SELECT 'cursed', service, id FROM letters
  WHERE status IN ('DEAD', 'PARKED') AND error LIKE '%{CURSE}%' ORDER BY 2, 3)
"""
FOR_PEOPLE = ("FAILED", "cursed")


class Left(NamedTuple):
    """Something that is still to be done: of what kind, by which service, and which."""

    kind: str
    service: str
    id: int | None


def always(shop: Shop) -> list[str]:
    """Violations now; of the databases those are asked in which something was written that their questions read."""
    written, shop.sessions.written = shop.sessions.written, set()
    found = [each for schema in sorted(written) for each in books(shop, schema)]
    return found + money(shop) + shop.journal.wrong + CURSES.surprises + shop.broker.wrong + shop.sessions.wrong


def books(shop: Shop, schema: str) -> list[str]:
    """Violations in a service's database."""
    rows = shop.server.rows(ALWAYS[schema])
    found = [f"{name}: {place}" for name, place in rows if name != "expired"]
    if schema == "inventory_service":
        found += expired_in_haste(shop, {order for name, order in rows if name == "expired"})
    return found


def expired_in_haste(shop: Shop, expired: set[str]) -> list[str]:
    """G25: who lets a hold expire has asked first, and nothing about its payment waited then to be heard."""
    new, shop.expired = expired - shop.expired, expired
    by = shop.sessions.changed_by
    paid = by.paid_when_asked if isinstance(by, Node) else frozenset()
    if new & paid:  # what was set aside waits no longer: people or time will bring it back
        paid = paid - {order for (order,) in shop.server.rows(SET_ASIDE)}
    return [f"G25: the hold of {order} expired, its payment waits to be heard" for order in sorted(new & paid)]


def money(shop: Shop) -> list[str]:
    """I8, and I7 as far as the ledger alone tells."""
    charged: dict[str, list[int]] = defaultdict(list)
    returned: dict[str, int] = defaultdict(int)
    found = []
    for entry in shop.provider.entries:
        if entry.outcome is Mark.CONFLICT:
            found.append(f"I8: key {entry.key} came with another request")
        elif entry.outcome is Mark.APPROVED and entry.operation is Operation.AUTHORIZE:
            charged[entry.reference].append(entry.amount_minor)
        elif entry.outcome is Mark.APPROVED and entry.operation in (Operation.VOID, Operation.REFUND):
            returned[entry.reference] += entry.amount_minor
    for order, amounts in charged.items():
        if len(amounts) > 1:
            found.append(f"I8: {order} was charged {len(amounts)} times")
        if sum(amounts) - returned[order] not in (0, sum(amounts)):
            found.append(f"I7: {order}: {returned[order]} of {sum(amounts)} came back")
    return found


def left(shop: Shop) -> Sequence[Left]:
    """What the databases say is still to be done; asked again only where something of it was written since."""
    if Touch.WORK in shop.sessions.touched or shop.left is None:
        shop.left = [Left(*row) for row in shop.server.rows(LEFT)]
        shop.sessions.touched &= ~Touch.WORK
    return shop.left


def unrest(shop: Shop) -> list[str]:
    """What is still to be done by itself, by kind; nothing at rest."""
    counts = Counter(each.kind for each in left(shop) if each.kind not in FOR_PEOPLE)
    rows = [f"{kind} {count}" for kind, count in counts.items()]
    lag = sum(shop.broker.lag(node.service.group, node.service.heard) for node in shop.nodes if not node.is_dead)
    if lag:
        rows.append(f"lag {lag}")
    if waiting := len(shop.mix.orders) - len(shop.journal.placed):
        rows.append(f"customers {waiting}")
    if shop.provider.is_busy:
        rows.append("the provider is busy")
    return rows
