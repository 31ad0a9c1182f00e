"""Every error of the library: one sentence that says what to do next, and whether trying again can help."""

from __future__ import annotations

import asyncio

import asyncpg


class DovecoteError(Exception):
    """Base of all errors raised on purpose; its message is one sentence for whoever reads the log."""

    retriable = False


class ContractError(DovecoteError):
    """An event breaks its contract, or has none; the transaction that tried to publish it must not commit."""


class SettingsError(DovecoteError):
    """The configuration is wrong; the message names the key, the file or variable, and the nearest valid key."""


class EnvelopeError(DovecoteError):
    """A Kafka message cannot be read as an event; it becomes a dead letter."""


class UnavailableError(DovecoteError):
    """The database or the broker cannot be reached now; the same call may succeed later (HTTP answers 503)."""

    retriable = True


class LeadershipLost(DovecoteError):
    """Another relay has taken over; this one must stop sending at once."""

    retriable = True


# SQLSTATE classes and codes that speak of the environment, never of the event in hand: connection (08),
# serialization and deadlock, resources (53), operator intervention (57P0x), cancelled by a timeout, lock
# timeout, a server that is read-only because it is failing over.
_ENVIRONMENT_CLASSES = ("08", "53", "57P", "58")
_ENVIRONMENT_CODES = frozenset({"40001", "40P01", "57014", "55P03", "25006", "25P03"})
_GONE = ("is closed", "is closing", "is cancelling")
# The driver's states are numbered; in the second it has read the server's last word (FATAL) and waits for the end of
# the connection. A statement that comes in this moment is told so by an error of a class of its own.
_GOING = "another operation (2) is in progress"
# What a call to the driver may raise; is_environment tells which of it passes by itself.
DRIVER = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)


def is_environment(error: BaseException) -> bool:
    """Tell whether an error says something about the world and nothing about the event being handled."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return True  # a migration has changed the table; the driver prepares the statement anew
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state in _ENVIRONMENT_CODES or state.startswith(_ENVIRONMENT_CLASSES)
    if isinstance(error, DovecoteError):
        return error.retriable
    if isinstance(error, asyncpg.InterfaceError):
        # The driver says one thing for a connection that is gone and for a call that is wrong; waiting mends
        # the first only.
        return any(sign in str(error) for sign in _GONE)
    if isinstance(error, asyncpg.InternalClientError):
        return _GOING in str(error)
    return isinstance(error, (OSError, TimeoutError, asyncio.TimeoutError))
