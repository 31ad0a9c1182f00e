"""A connection whose BEGIN travels with the first statement of its transaction: one round trip less for each.

The driver sends a statement as Bind, Execute and Sync, and waits for the answer to Sync. BEGIN as Parse, Bind and
Execute without a Sync before them is answered in the same breath, and the driver reads over that. Of the 78 statements
that an order costs when orders come one by one, 11 were a BEGIN.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

# As the driver's transactions say it at the default level; at others they say more, and are left alone.
_BEGIN = "BEGIN;"
_ENDS = ("COMMIT;", "ROLLBACK;")
_NOTHING = ""
# The unnamed statement and portal, no parameters, no result (PostgreSQL's documentation, "Message Formats").
_BEGIN_MESSAGES = (
    b"P\x00\x00\x00\x0d\x00BEGIN\x00\x00\x00"  # Parse
    b"B\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00"  # Bind
    b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00"  # Execute
)


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """The driver's connection. It behaves as before, but that a transaction begins when its first statement does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_to_begin = False
        self._is_unread = False  # a BEGIN was sent, and no statement behind it: its answer is still to be read over

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """As the driver's."""
        if query == _BEGIN and not self._protocol._is_cancelling():
            self._is_to_begin = True
            return "BEGIN"
        if self._is_to_begin and not args:
            self._is_to_begin = False
            if query in _ENDS:  # and nothing was said in between
                return query
            query = _BEGIN + query
        if not args:
            self._is_unread = False
        return await super().execute(query, *args, timeout=timeout)  # type: ignore[no-any-return]

    async def _do_execute(self, query: str, executor: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._is_unread:
            await self.execute(_NOTHING)
        return await super()._do_execute(query, self._behind_begin(executor), *args, **kwargs)

    def _behind_begin(self, executor: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        if not self._is_to_begin:
            return executor

        async def execute(statement: Any, timeout: float | None) -> Any:
            if self._is_to_begin:
                self._is_to_begin = False
                self._transport.write(_BEGIN_MESSAGES)
            try:
                return await executor(statement, timeout)
            finally:
                self._is_unread = not self.is_in_transaction()

        return execute
