"""Kafka's jars: fetched once into the virtual environment, never used unless their checksums are the locked ones."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import ssl
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ecom.local.errors import LocalError

LOCK = Path(__file__).with_name("jgo.lock.toml")
ATTEMPTS_MAX = 3
THREADS = 8


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars(lock: Path = LOCK) -> list[Jar]:
    """Read the committed lock, which jgo wrote."""
    rows = tomllib.loads(lock.read_text())["dependencies"]
    return [Jar(row["groupId"], row["artifactId"], row["version"], row["sha256"]) for row in rows]


def jar_folder() -> Path:
    """Return where the jars are kept: beside the packages, so that one environment fetches them once."""
    return Path(sys.prefix) / "share" / "ecom" / "kafka"


def fetch_jars(folder: Path | None = None, *, jars: Sequence[Jar] | None = None) -> list[Path]:
    """Return the class path, fetching what is missing or spoiled; two launchers at once wait for each other."""
    folder = folder or jar_folder()
    wanted = list(jars if jars is not None else locked_jars())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            missing = [jar for jar in wanted if not _is_whole(folder / jar.filename, jar)]
            if missing:
                with ThreadPoolExecutor(THREADS) as pool:
                    list(pool.map(lambda jar: _fetch(jar, folder), missing))
    except OSError as error:
        raise LocalError(f"Cannot keep Kafka's jars in {folder}: {error.strerror or error}.") from error
    return [folder / jar.filename for jar in wanted]


def _is_whole(path: Path, jar: Jar) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _fetch(jar: Jar, folder: Path) -> None:
    """Fetch one jar through jgo's resolver; its bytes count only when their checksum is the locked one."""
    from jgo.maven import MavenContext  # a second of imports, needed once in an environment's life
    from requests import RequestException

    trusted = ssl.get_default_verify_paths().cafile
    if trusted is not None:  # what this machine trusts, as pip does; requests would only ask its own bundle
        os.environ.setdefault("REQUESTS_CA_BUNDLE", trusted)
    cache = folder / "maven"
    why = "its checksum is not the locked one"
    for _ in range(ATTEMPTS_MAX):
        context = MavenContext(repo_cache=cache, timeout=60)
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        try:
            path = artifact.resolve()
        except (RequestException, RuntimeError, AssertionError) as error:
            why = str(error) or type(error).__name__
        else:
            if _is_whole(path, jar):
                path.replace(folder / jar.filename)
                shutil.rmtree(path.parent, ignore_errors=True)
                return
        if artifact.cached_path is not None:
            artifact.cached_path.unlink(missing_ok=True)
    raise LocalError(
        f"Cannot fetch {jar.group}:{jar.artifact}:{jar.version} ({why}): "
        "check the network, or set ECOM_KAFKA_BOOTSTRAP_SERVERS to a cluster of your own."
    )
