"""Inventory: what can still be promised.

Owns:  stock, its ledger, reservations (of orders and by hand), one hold per order.
Says:  inventory.reserved.v1, inventory.reservation.failed.v1.
Hears: order.created.v1, order.timed-out.v1, order.cancelled.v1, payment.authorized.v1, payment.failed.v1.
"""
