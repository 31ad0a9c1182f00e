"""One version of a project's contracts: its registry and schemas as they stood in a folder or at a git ref."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dovecote.contracts.registry import REGISTRY_FILE
from dovecote.errors import ContractError

GIT_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was promised at one moment: the registry's entries and the schema of each, by event type.

    Reading is lenient: an entry that lacks keys is kept as it is, and an event whose schema file is missing is in
    ``events`` only. What is wrong with today's contracts is said by the check, which looks at more than this.
    """

    events: Mapping[str, Mapping[str, Any]]
    schemas: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of_folder(cls, folder: Path) -> Snapshot:
        """The contracts in a folder that holds the registry; raises ContractError, naming the file, on broken JSON."""
        return _read(lambda name: _file(folder / name), str(folder))

    @classmethod
    def at_ref(cls, repository: Path, ref: str, folder: str) -> Snapshot:
        """The contracts as a git ref has them, ``folder`` seen from the repository's root.

        Raises ContractError where git is missing, the ref is unknown (or not in a shallow clone), or it has no such
        folder.
        """
        commit = git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if commit is None:
            shallow = (git(repository, "rev-parse", "--is-shallow-repository") or b"").strip() == b"true"
            mend = "fetch it: this clone is shallow (git fetch --unshallow)" if shallow else "name one that git knows"
            raise ContractError(f"There is no commit {ref!r} in {repository}; {mend}.")
        archive = git(repository, "archive", "--format=tar", commit.decode().strip(), "--", folder)
        if archive is None:
            raise ContractError(f"{ref} has no folder {folder}; name the one that holds {REGISTRY_FILE}.")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            members = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
            files = {name: file.read() for name, file in members.items() if file is not None}
        root = folder.strip("/")
        return _read(lambda name: files.get(f"{root}/{name}"), f"{ref}:{root}")


def _read(read: Callable[[str], bytes | None], where: str) -> Snapshot:
    """A snapshot by a function that gives a file's bytes, or None where there is none."""
    text = read(REGISTRY_FILE)
    if text is None:
        raise ContractError(f"There is no {REGISTRY_FILE} in {where}.")
    document = _json(text, f"{where}/{REGISTRY_FILE}")
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(events, dict):
        raise ContractError(f'{where}/{REGISTRY_FILE} has no object "events".')
    entries = {name: entry for name, entry in events.items() if isinstance(entry, dict)}
    schemas = {}
    for name, entry in entries.items():
        file = entry.get("schema_file")
        content = read(file) if isinstance(file, str) else None
        if content is not None:
            schemas[name] = _json(content, f"{where}/{file}")
    return Snapshot(entries, schemas)


def _json(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{where} is not JSON: {error}.") from error


def _file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {error.strerror}.") from error


def git(repository: Path, *arguments: str) -> bytes | None:
    """What git prints, None where it says no; raises ContractError where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments],  # noqa: S607 - git is found as the caller's shell finds it
            capture_output=True,
            check=False,
            timeout=GIT_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ContractError(f"git cannot be asked about {repository}: {error}.") from error
    if done.returncode != 0 and b"not a git repository" in done.stderr:
        raise ContractError(f"{repository} is no git repository; compare with a folder instead.")
    return done.stdout if done.returncode == 0 else None
