"""`ecom check` sees a transaction pooler before it costs anybody an order: a real pgbouncer stands in between."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ecom.local.child import answers
from ecom.local.process import free_port, until
from ecom.shop import SERVICES
from tests.addresses import by_tcp
from tests.cli.conftest import Command

CONFIGURATION = """
[databases]
{database} = host={host} port={port} dbname={database} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
"""


@contextlib.asynccontextmanager
async def pooler(program: str, url: str, mode: str, folder: Path) -> AsyncIterator[str]:
    """A pgbouncer of one mode before a database; the address through it."""
    parts = by_tcp(url)
    listen = free_port()
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(
            database=parts.path.lstrip("/"),
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=parts.password,
            listen=listen,
            mode=mode,
        )
    )
    nobody = pwd.getpwnam("nobody")
    as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid} if os.geteuid() == 0 else {}
    with configuration.open() as readable:  # its folder may be closed to the user it runs as
        argv = [program, "-q", f"/dev/fd/{readable.fileno()}"]
        process = subprocess.Popen(argv, pass_fds=[readable.fileno()], **as_user)  # type: ignore[call-overload]
    try:
        assert await until(lambda: answers(listen), limit_s=10)
        yield parts._replace(netloc=f"{parts.username}@127.0.0.1:{listen}").geturl()
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize(("mode", "is_refused"), [("transaction", True), ("session", False)])
async def test_check_tells_a_transaction_pooler_from_a_session_pooler(
    ecom: Command, system_part: Callable[[str], str], tmp_path: Path, mode: str, *, is_refused: bool
) -> None:
    """The relay's lock belongs to a session, which a transaction pooler hands to others; a session pooler does not."""
    async with pooler(system_part("pgbouncer"), ecom.environ["ECOM_DATABASE_URL"], mode, tmp_path) as url:
        _, out, _ = await ecom.run("check", "--prefix", ecom.prefix, ECOM_DATABASE_URL=url)
    assert out.count("a transaction pooler stands before it") == (len(SERVICES) if is_refused else 0), out
    assert out.count("run ecom migrate") == (0 if is_refused else len(SERVICES)), out
