"""The ledger file: what is answered is on disk, and a torn end never hides what came before it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecom.provider.interface import Operation
from ecom.provider.ledger import FILE, Entry, Ledger, LedgerError, Mark, read


def entry(number: int) -> Entry:
    return Entry(
        at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        operation=Operation.AUTHORIZE,
        key=f"authorize:ord_{number}",
        reference=f"ord_{number}",
        provider_id=f"sim_{number}",
        amount_minor=1250,
        currency="USD",
        outcome=Mark.APPROVED,
        request_hash="00",
    )


async def write(folder: Path, *numbers: int) -> None:
    ledger = Ledger(folder)
    ledger.append(entry(number) for number in numbers)
    await ledger.durable()
    ledger.close()


async def test_reads_what_was_written(tmp_path: Path) -> None:
    """Entries come back whole and in order, by folder and by file, over several starts."""
    await write(tmp_path, 1, 2)
    await write(tmp_path, 3)
    assert list(read(tmp_path)) == list(read(tmp_path / FILE)) == [entry(1), entry(2), entry(3)]


def test_no_ledger_no_entries(tmp_path: Path) -> None:
    """A provider that never started has an empty book."""
    assert list(read(tmp_path)) == []


@pytest.mark.parametrize("torn", [b"{", b'{"at":"2026-02-03T04:05:06Z","oper', b"\x00"])
async def test_torn_last_line(tmp_path: Path, torn: bytes) -> None:
    """A crash in mid-write leaves half a line: readers stop before it, the next start cuts it off."""
    await write(tmp_path, 1)
    with (tmp_path / FILE).open("ab") as file:
        file.write(torn)
    assert list(read(tmp_path)) == [entry(1)]
    await write(tmp_path, 2)
    assert list(read(tmp_path)) == [entry(1), entry(2)]


async def test_damage_before_the_end_is_an_error(tmp_path: Path) -> None:
    """Only the last line may be torn; anything else is said, with its line number."""
    await write(tmp_path, 1)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"garbage\n")
    await write(tmp_path, 2)
    with pytest.raises(LedgerError, match="line 2 is damaged"):
        list(read(tmp_path))


async def test_one_writer(tmp_path: Path) -> None:
    """Two providers on one home would tear each other's lines: the second is refused."""
    ledger = Ledger(tmp_path)
    with pytest.raises(LedgerError, match="another process"):
        Ledger(tmp_path)
    ledger.close()


async def test_waiting_callers_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred answers that wait together cost a few syncs, not a hundred."""
    import asyncio
    import os

    syncs = 0
    real = os.fdatasync

    def counting(file: int) -> None:
        nonlocal syncs
        syncs += 1
        real(file)

    monkeypatch.setattr(os, "fdatasync", counting)
    ledger = Ledger(tmp_path)

    async def one(number: int) -> None:
        ledger.append([entry(number)])
        await ledger.durable()

    await asyncio.gather(*(one(number) for number in range(100)))
    ledger.close()
    assert len(list(read(tmp_path))) == 100
    assert syncs <= 3
