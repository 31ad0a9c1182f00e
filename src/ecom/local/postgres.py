"""PostgreSQL from its wheel: initdb once, then `postgres` as a child on a loopback port with a password."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from ecom.local.child import Child, Recipe, find, start
from ecom.local.errors import LocalError
from ecom.local.home import Home, Record
from ecom.local.place import Place, find_place, own
from ecom.local.process import is_free, run_to_end, started, stop, until

NAME = "postgres"
USER = "ecom"
DATABASE = "ecom"
LEAVE_WITHIN_S = 15.0
ENVIRON = {"LC_ALL": "C", "TZ": "UTC"}

# A socket's path may have 107 bytes (unix(7)).
SOCKET_PATH_MAX = 107

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": ".",  # the data folder: outside our folders it is one more thing to leave behind
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "random_page_cost": "1.1",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    "timezone": "UTC",
}


def url(record: Record, *, database: str = DATABASE) -> str:
    """Return the address of a database on the embedded server."""
    return f"postgresql://{USER}:{record.secret}@127.0.0.1:{record.port}/{database}"


def near_url(record: Record) -> str:
    """Return our database's address by the server's socket in its data folder: a statement costs less than by TCP.

    Where the path is too long for one, or the folder not to be seen, it is the address by TCP.
    """
    try:
        folder = Path(f"/proc/{record.pid}/cwd").readlink()
    except OSError:
        return url(record)
    path = folder / f".s.PGSQL.{record.port}"
    if len(os.fsencode(path)) > SOCKET_PATH_MAX or not path.is_socket():
        return url(record)
    place = urlencode({"host": str(folder), "port": record.port})
    return f"postgresql://{USER}:{record.secret}@/{DATABASE}?{place}"


async def start_postgres(home: Home, *, settings: Mapping[str, str] = SETTINGS, place: Place | None = None) -> Child:
    """Return the living server of this home, or make and start it."""
    place = place or find_place(home)
    recipe = _recipe(place, settings)
    found = await find(home, recipe)
    if found is not None:
        return found
    before = home.record(NAME)
    secret = before.secret if before is not None and before.secret else secrets.token_urlsafe(24)
    if before is None or not before.secret:
        if (place.data / "PG_VERSION").exists():
            raise LocalError(f"The password of {place.data} is lost: remove {home.path} and start anew.")
        home.write(NAME, Record(pid=0, started="", secret=secret))
    await _initialise(home, place, secret)
    port = before.port if before is not None and before.port and is_free(before.port) else None
    return await start(home, recipe, secret=secret, port=port)


def _recipe(place: Place, settings: Mapping[str, str]) -> Recipe:
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    return Recipe(
        name=NAME,
        is_lasting=True,
        argv=lambda record: [
            str(place.programs / "postgres"),
            *("-D", str(place.data), "-p", str(record.port)),
            *options,
        ],
        environ=ENVIRON,
        folder=place.folder,
        account=place.account,
        prepare=lambda: _clear_remains(place),
        ready=lambda record: _says_ready(place, record),
        ready_within_s=60.0,
        polite=signal.SIGINT,  # a fast shutdown: roll back, disconnect, checkpoint, end
        grace_s=60.0,
    )


def _says_ready(place: Place, record: Record) -> bool:
    """Read what the server says of itself, as pg_ctl does; its words must be about this process and port."""
    try:
        lines = (place.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return (
        len(lines) >= 8
        and lines[0].strip() == str(record.pid)
        and lines[3].strip() == str(record.port)
        and lines[7].strip() == "ready"
    )


async def _initialise(home: Home, place: Place, secret: str) -> None:
    """Make the cluster, in a draft folder that gets its name only when it is whole."""
    if (place.data / "PG_VERSION").exists():
        return
    draft = place.folder / "postgres.draft"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(place.data, ignore_errors=True)
    own(draft, place.account)
    password = draft / "password"
    descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
        if place.account is not None:
            os.fchown(file.fileno(), place.account.uid, place.account.gid)
    cluster = draft / "cluster"
    await run_to_end(
        home,
        "initdb",
        [
            str(place.programs / "initdb"),
            *("-D", str(cluster), "-U", USER, "--pwfile", str(password), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--locale", "C", "--no-instructions", "--set", "password_encryption=scram-sha-256"),
        ],
        environ=ENVIRON,
        folder=place.folder,
        account=place.account,
    )
    _make_database(place, cluster)
    password.unlink()
    cluster.rename(place.data)
    draft.rmdir()


def _make_database(place: Place, cluster: Path) -> None:
    """Create our database before anything listens: single-user mode needs no port and no client."""
    extra = {} if place.account is None else {"user": place.account.uid, "group": place.account.gid}
    done = subprocess.run(  # type: ignore[call-overload]
        [str(place.programs / "postgres"), "--single", "-D", str(cluster), "postgres"],
        input=f"CREATE DATABASE {DATABASE} OWNER {USER}\n",
        text=True,
        capture_output=True,
        check=False,
        env=ENVIRON,
        cwd=place.folder,
        **extra,
    )
    if done.returncode != 0 or "ERROR" in done.stderr:
        raise LocalError(f"PostgreSQL cannot create its database: {done.stderr.strip()[-300:]}")


async def _clear_remains(place: Place) -> None:
    """Wait for the backends that a killed server left behind, end those that stay, and drop its pid and sockets."""

    def orphans() -> list[Record]:
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "cwd").readlink() == place.data:
                    began = started(int(entry.name))
                    if began is not None:
                        found.append(Record(pid=int(entry.name), started=began))
        return found

    if not await until(lambda: not orphans(), limit_s=LEAVE_WITHIN_S):
        for orphan in orphans():
            await stop(orphan, grace_s=5.0, polite=signal.SIGQUIT)
    for left in [place.data / "postmaster.pid", *place.data.glob(".s.PGSQL.*")]:
        left.unlink(missing_ok=True)
