"""dovecote: a service changes its PostgreSQL database and speaks on Kafka as one act.

At-least-once delivery, at most one effect per consumer. Start with ``Blueprint`` and ``Service``, publish with
``Transaction.publish``, hear with ``Handlers.on``.
"""

from dovecote.contracts import Contracts
from dovecote.database import Database, Record, Transaction
from dovecote.errors import ContractError, DovecoteError, SettingsError, UnavailableError
from dovecote.events import Aggregate, Cause, Delivery, Event, Traced
from dovecote.gather import Gather
from dovecote.handlers import Handlers
from dovecote.intents import Intent, Worker
from dovecote.schedule import Job, JobContext
from dovecote.service import Blueprint, Service
from dovecote.sql import Sql

__all__ = [
    "Aggregate",
    "Blueprint",
    "Cause",
    "ContractError",
    "Contracts",
    "Database",
    "Delivery",
    "DovecoteError",
    "Event",
    "Gather",
    "Handlers",
    "Intent",
    "Job",
    "JobContext",
    "Record",
    "Service",
    "SettingsError",
    "Sql",
    "Traced",
    "Transaction",
    "UnavailableError",
    "Worker",
]
