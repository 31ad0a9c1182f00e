"""Ways to break a shop whose books agree: by SQL, by a record in a topic, by a line in the ledger or a journal."""

from tests.audit.plants import clients, events, mails, messages, money, orders, stock, telling
from tests.audit.plants.planting import PLANTS, Plant, Planted

__all__ = [
    "PLANTS",
    "Plant",
    "Planted",
    "clients",
    "events",
    "mails",
    "messages",
    "money",
    "orders",
    "stock",
    "telling",
]
