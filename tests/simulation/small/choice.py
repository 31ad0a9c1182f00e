"""What can be chosen in a small world, by name, and which two choices commute.

A name is ``service/what``: ``order/payment.authorized`` lets the order service hear that message; ``order/cancel``,
``inventory/expiry``, ``payment/provider.capture`` are other moments. ``+1`` is the topic's second message about an
order, ``-2`` means the second order. ``again/…`` is a delivery that comes again, ``copy/…`` a second copy in the log.
"""

from __future__ import annotations

AGAIN, COPY = "again", "copy"
# One row of stock is shared by all orders: here alone, orders meet.
SHARED = "inventory"
# Asks how far its group is behind, and so meets everybody who writes what the group hears.
ASKS_LAG = "inventory/expiry"


def is_duplicate(choice: str) -> bool:
    """Whether the choice repeats one that was made."""
    return choice.startswith((f"{AGAIN}/", f"{COPY}/"))


def is_message(choice: str) -> bool:
    """Whether the choice lets a service hear a message."""
    service, _, what = choice.partition("/")
    return service not in (AGAIN, COPY) and "." in what and not what.startswith("provider.")


def original(choice: str) -> str:
    """The choice that a duplicate repeats; any other one itself."""
    return choice.partition("/")[2] if is_duplicate(choice) else choice


def independent(one: str, other: str) -> bool:
    """Whether the two lead to the same state in either order, and neither makes the other possible or impossible.

    Each service touches its own schema alone, and each order its own rows, but for the stock.
    """
    if ASKS_LAG in (one, other):
        return False
    (service, _, what), (other_service, _, other_what) = (original(each).partition("/") for each in (one, other))
    if service != other_service:
        return True
    return service != SHARED and "-2" in what + other_what and what.endswith("-2") != other_what.endswith("-2")
