"""The simulator's ledger: an append-only book, on disk before any answer leaves.

One JSON object a line: at, operation, key, reference, provider_id, amount_minor, currency, outcome, reason,
request_hash. `outcome` is APPROVED or DECLINED for the first decision about a key, REPEATED where another key
asked for what was already done (no money moved), CONFLICT where a key came again with another body (nothing
was done).
"""

import asyncio
import fcntl
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from ecom.provider.interface import Operation

FILE = "ledger.ndjson"


class Mark(StrEnum):
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    REPEATED = "REPEATED"
    CONFLICT = "CONFLICT"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    at: datetime
    operation: Operation
    key: str
    reference: str
    provider_id: str
    amount_minor: int
    currency: str
    outcome: Mark
    request_hash: str
    reason: str | None = None


class LedgerError(Exception):
    """The ledger cannot be used: in use by another process, or damaged before its last line."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


def read(path: Path) -> Iterator[Entry]:
    """Every entry in order; `path` is the file or the folder that holds it. A torn last line was never
    answered.
    """
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _decode(line)
            except msgspec.MsgspecError as error:
                raise LedgerError(f"{FILE} line {number} is damaged: {error}") from error


class Ledger:
    """The writer. `append` is immediate and in memory; `durable` returns once all that was appended is on
    disk.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise LedgerError(f"another process writes {self._path}; stop it or use another --home") from error
        self._cut_torn_line()
        self._lines: list[bytes] = []
        self._appended = 0
        self._synced = 0
        self._syncing: asyncio.Task[None] | None = None

    def read(self) -> Iterator[Entry]:
        return read(self._path)

    def append(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._lines.append(_encode(entry))
            self._appended += 1

    async def durable(self) -> None:
        """Callers that wait together share one fdatasync. An OSError here is final: see `_sync`."""
        target = self._appended
        while self._synced < target:
            if self._syncing is None:
                self._syncing = asyncio.create_task(self._sync())
            # shielded: a client that hangs up must not cancel the write that others wait for
            await asyncio.shield(self._syncing)

    def close(self) -> None:
        """What is still in memory was never answered, and so is not owed."""
        os.close(self._file)

    async def _sync(self) -> None:
        """Write what has gathered. After a failed write the file's end is unknown: only a new start may go
        on.
        """
        lines, self._lines = self._lines, []
        upto = self._appended
        await asyncio.to_thread(self._write, b"\n".join(lines) + b"\n")
        self._synced = upto
        self._syncing = None

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)

    def _cut_torn_line(self) -> None:
        """A crash in mid-write leaves a line without its end: cut it, or the next line would grow onto it."""
        size = os.fstat(self._file).st_size
        kept = size
        while kept and os.pread(self._file, 1, kept - 1) != b"\n":
            kept -= 1
        if kept != size:
            os.ftruncate(self._file, kept)
            os.fsync(self._file)
