"""The system user that runs PostgreSQL where the launcher is root, and what that user can reach."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from ecom.local.errors import LocalError
from ecom.local.process import Account

SERVER_USER = "ecom-postgres"


def server_account() -> Account | None:
    """Return the user PostgreSQL must run as: ourselves, unless we are root, whom it refuses to serve."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        entry = _make_user()
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def _make_user() -> pwd.struct_passwd:
    tool = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is None:
        raise LocalError(
            "PostgreSQL does not run as root and there is no useradd to make a user for it: "
            "start ecom as another user, or set ECOM_DATABASE_URL to a server of your own."
        )
    done = subprocess.run(
        [
            tool,
            *("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"),
            *("--shell", "/usr/sbin/nologin", SERVER_USER),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return pwd.getpwnam(SERVER_USER)  # a launcher beside us may have made it meanwhile
    except KeyError:
        raise LocalError(f"Cannot make the user {SERVER_USER}: {done.stderr.strip()}") from None


def can_search(folder: Path, account: Account) -> bool:
    """Tell whether the account may pass through a folder and all its parents."""
    return all(_allows(part, account, stat.S_IXUSR) for part in (folder, *folder.parents) if part.exists())


def can_read(file: Path, account: Account) -> bool:
    """Tell whether the account may read a file where it lies."""
    return can_search(file.parent, account) and _allows(file, account, stat.S_IRUSR)


def _allows(path: Path, account: Account, owner_bit: int) -> bool:
    """Read the permission bits as the kernel would; access lists, which can only add, are left out."""
    info = path.stat()
    shift = 0 if info.st_uid == account.uid else 3 if info.st_gid == account.gid else 6
    return bool(info.st_mode & (owner_bit >> shift))
