"""The order service.

Owns orders and the saga's verdict on each of them; keeps a list of what products cost.
Says order.created, order.confirmed, order.cancelled, order.timed-out.
Hears payment.authorized, payment.failed, payment.captured, payment.refunded, inventory.reserved,
inventory.reservation.failed, product.upserted, product.deleted.
"""
