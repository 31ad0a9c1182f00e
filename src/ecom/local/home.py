"""The folder that holds all that one embedded shop keeps: data, logs, records of what runs, and the lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ecom.local.errors import HomeInUse, LocalError

REPOSITORY = Path(__file__).resolve().parents[3]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One process of ours: enough to know it again after the launcher that started it is gone."""

    pid: int
    started: str
    port: int = 0
    secret: str = ""
    is_lasting: bool = False  # the next launcher takes it over instead of ending it


def home_path(environ: Mapping[str, str]) -> Path:
    """Return ECOM_HOME, or `.ecom` at the root of the repository."""
    chosen = environ.get("ECOM_HOME", "").strip()
    return Path(chosen).expanduser().resolve() if chosen else REPOSITORY / ".ecom"


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside the folder, and the records of the processes that live on it."""

    path: Path

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        return self.path / "run"

    def make(self) -> None:
        """Create the folder; a folder that was there before keeps the permissions its owner gave it."""
        try:
            if not self.path.is_dir():
                self.path.mkdir(parents=True)
                self.path.chmod(0o755)
            for folder in (self.logs, self.run):
                if not folder.is_dir():
                    folder.mkdir()
                    folder.chmod(0o700)
        except OSError as error:
            raise LocalError(
                f"Cannot write the folder {self.path} ({error.strerror}): set ECOM_HOME to one you can write."
            ) from error

    def record(self, name: str) -> Record | None:
        """Return what the last start wrote down about a process; a record that cannot be read counts as none."""
        try:
            return msgspec.json.decode((self.run / f"{name}.json").read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def records(self) -> dict[str, Record]:
        """Return every process written down here, by name."""
        found = {path.stem: self.record(path.stem) for path in sorted(self.run.glob("*.json"))}
        return {name: record for name, record in found.items() if record is not None}

    def write(self, name: str, record: Record) -> None:
        """Write a record whole or not at all, readable by its owner alone: it may hold a password."""
        path = self.run / f"{name}.json"
        draft = path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(record))
        draft.replace(path)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Own this home until the block ends; the kernel frees the lock even when the launcher is killed."""
        self.make()
        with (self.path / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise HomeInUse(
                    f"Another ecom (process {holder}) is using {self.path}: "
                    "stop it, or set ECOM_HOME to another folder."
                ) from None
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield
            file.seek(0)
            file.truncate()
