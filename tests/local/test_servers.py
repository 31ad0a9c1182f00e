"""The embedded servers answer, keep their data, survive launcher and death, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from dovecote.kafka import Admin
from ecom.local import Home, Servers, joined_servers, servers
from ecom.local.errors import HomeInUse
from ecom.local.home import Record
from ecom.local.place import temporary_home
from ecom.local.postgres import near_url, url
from ecom.local.process import MARK, is_alive, until

LAUNCHER = """
import asyncio, os, signal, sys
from pathlib import Path
from ecom.local import Home, servers

async def main():
    async with servers(Home(Path(sys.argv[1])), {}):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def own_home() -> Iterator[Home]:
    """A home for this module, whatever servers the session uses."""
    with temporary_home() as home:
        yield home


@pytest.fixture
async def own(own_home: Home) -> AsyncIterator[Servers]:
    """Servers of this module's home, started for one test."""
    async with servers(own_home, {}) as running:
        yield running


async def value(url: str, statement: str) -> object:
    """Ask one question on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def ours(home: Home) -> list[str]:
    """The command lines of all processes that carry this home's mark or work in it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            environ = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
            where = str((entry / "cwd").readlink()) if entry.name.isdigit() else ""
            if f"{MARK}={home.path}:".encode() in environ or where.startswith(str(home.path)):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80])
        except OSError:
            continue
    return [line for line in found if line]


async def test_the_database_is_durable_and_asks_for_its_password(own: Servers) -> None:
    """The embedded database syncs what it commits and lets nobody in without the password, by socket or by TCP."""
    shown = [await value(own.database_url, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "jit")]
    assert shown == ["on", "on", "off"]
    assert own.postgres is not None
    record = own.postgres.record
    assert "host=%2F" in own.database_url
    for address in (own.database_url, url(record)):
        assert await value(address, "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(address.replace(record.secret, "wrong"))


def test_a_socket_that_is_not_there_is_not_used() -> None:
    """A server that does not run, or that another machine's user runs, is named by its address alone."""
    record = Record(pid=os.getpid(), started="", port=5432, secret="secret")
    assert near_url(record) == url(record) == "postgresql://ecom:secret@127.0.0.1:5432/ecom"


async def test_servers_listen_on_loopback_only(own: Servers) -> None:
    """Neither server can be reached from another machine."""
    assert own.postgres is not None and own.kafka is not None
    ports = {own.postgres.port, own.kafka.port}
    listening = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == "0A" and int(port, 16) in ports:
                listening[int(port, 16)] = address
    # 127.0.0.1, as the kernel writes it for IPv4 and for an IPv6 socket that carries IPv4.
    assert set(listening) == ports
    assert set(listening.values()) <= {"0100007F", "0000000000000000FFFF00000100007F"}


async def test_a_stop_leaves_no_process_and_a_start_finds_the_data_on_the_same_ports(own_home: Home) -> None:
    """What was written before a stop is there after the next start, under the same address, and nothing ran between."""
    async with servers(own_home, {}) as first:
        await value(first.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        await Admin(first.bootstrap).ensure_topics(["kept.v1"], partitions=2, replication=1)
    assert ours(own_home) == []
    async with servers(own_home, {}) as second:
        assert (second.database_url, second.bootstrap) == (first.database_url, first.bootstrap)
        assert await value(second.database_url, "SELECT answer FROM kept") == 42
        assert (await Admin(second.bootstrap).topics())["kept.v1"] == 2


async def test_servers_survive_a_killed_launcher_and_are_found_again(own_home: Home) -> None:
    """After kill -9 of the launcher the next start takes over its living servers instead of starting others."""
    launcher = await asyncio.create_subprocess_exec(sys.executable, "-c", LAUNCHER, str(own_home.path))
    assert await launcher.wait() == -signal.SIGKILL
    records = own_home.records()
    assert {name for name, record in records.items() if is_alive(record)} == {"postgres", "kafka"}
    async with servers(own_home, {}) as running:
        assert running.postgres is not None and running.kafka is not None
        assert running.postgres.was_found and running.kafka.was_found
        assert running.postgres.record == records["postgres"]
    assert ours(own_home) == []


async def test_servers_killed_with_their_launcher_start_again_with_their_data(own_home: Home) -> None:
    """Pid files, locks and orphaned backends of killed servers do not hold the next start up, nor is a row lost."""
    async with servers(own_home, {}) as running:
        await value(running.database_url, "CREATE TABLE survives AS SELECT 7 AS answer")
        connection = await asyncpg.connect(running.database_url)
        busy = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        assert running.postgres is not None and running.kafka is not None
        await running.postgres.kill()
        await running.kafka.kill()
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await busy
        await running.postgres.start_again()
        assert await value(running.database_url, "SELECT answer FROM survives") == 7
        await running.postgres.kill()
    async with servers(own_home, {}) as again:
        assert await value(again.database_url, "SELECT answer FROM survives") == 7


async def test_a_process_that_no_record_names_is_ended_before_another_starts(own_home: Home) -> None:
    """A server whose launcher died before writing its record does not run on beside the next one."""
    async with servers(own_home, {}) as running:
        assert running.postgres is not None
        lost = running.postgres.record
        (own_home.run / "postgres.json").write_bytes(
            (own_home.run / "postgres.json").read_bytes().replace(str(lost.pid).encode(), b"1")
        )
        (own_home.path / "lock").unlink()  # as if this launcher were gone
        async with servers(own_home, {}) as second:
            assert second.postgres is not None
            assert second.postgres.record.pid != lost.pid
            assert await until(lambda: not is_alive(lost), limit_s=5)


async def test_two_launchers_do_not_share_a_home_but_a_guest_may_join(own: Servers) -> None:
    """A second launcher is told who holds the home; a command that only needs the servers uses the running ones."""
    with pytest.raises(HomeInUse, match=str(os.getpid())):
        async with servers(own.home, {}):
            pass
    async with joined_servers(own.home, {}) as guest:
        assert guest.is_guest
        assert (guest.database_url, guest.bootstrap) == (own.database_url, own.bootstrap)
    assert await value(own.database_url, "SELECT 1") == 1


async def test_the_users_own_servers_are_used_where_he_names_them(tmp_path: Path) -> None:
    """With both variables set nothing is started and both addresses are the user's."""
    given = {"ECOM_DATABASE_URL": "postgresql://u@h:1/d", "ECOM_KAFKA_BOOTSTRAP_SERVERS": "k:9092"}
    home = Home(tmp_path / "home")
    async with servers(home, given) as running:
        assert (running.database_url, running.bootstrap) == ("postgresql://u@h:1/d", "k:9092")
        assert running.postgres is None
        assert running.kafka is None
        assert ours(home) == []
