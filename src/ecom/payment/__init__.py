"""Payment: one payment an order, from the hold on the card to its capture, or back to nothing.

Owns:  payments, keys of intents, webhooks, provider dead letters, the outage switch.
Says:  payment.authorized.v1, payment.failed.v1, payment.captured.v1, payment.refunded.v1.
Hears: order.created.v1, order.confirmed.v1, order.cancelled.v1, order.timed-out.v1,
       inventory.reservation.failed.v1.
"""
