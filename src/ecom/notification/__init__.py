"""Notification: the mail that tells a customer how the order goes.

Owns:  notifications and their dead letters, who ordered what, news that wait for their order.
Says:  notification.dlq.v1, notification.alert.v1.
Hears: order.created.v1, order.confirmed.v1, order.cancelled.v1, order.timed-out.v1, payment.authorized.v1,
       payment.failed.v1, payment.captured.v1, payment.refunded.v1, inventory.reservation.failed.v1.
"""
