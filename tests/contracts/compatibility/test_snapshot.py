"""A snapshot is read from a folder and from a git ref, and what cannot be read is said in a sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dovecote.contracts.snapshot import Snapshot
from dovecote.errors import ContractError
from ecom.contracts import CONTRACTS


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder of its own, without this machine's settings."""
    argv = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false"]
    subprocess.run([*argv, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the shop's contracts in its only commit."""
    shutil.copytree(CONTRACTS, tmp_path / "repo" / "promises" / "events")
    git(tmp_path, "init", "-q", str(tmp_path / "repo"))
    git(tmp_path / "repo", "add", ".")
    git(tmp_path / "repo", "commit", "-qm", "first")
    return tmp_path / "repo"


def test_a_ref_is_read_as_the_folder_was(repository: Path) -> None:
    """What was committed is what is read, whatever lies in the folder now."""
    folder = repository / "promises" / "events"
    before = Snapshot.of_folder(folder)
    (folder / "schemas" / "order.created.v1.json").write_text("{", encoding="utf-8")
    assert Snapshot.at_ref(repository, "HEAD", "promises/events") == before
    assert len(before.schemas) == len(before.events) > 0


@pytest.mark.parametrize(
    ("ref", "folder", "sentence"),
    [
        ("nobody", "promises/events", "There is no commit 'nobody'"),
        ("--help", "promises/events", "There is no commit '--help'"),
        ("HEAD", "elsewhere", "has no folder elsewhere"),
        ("HEAD", "promises", "There is no event-contracts.json"),
    ],
)
def test_what_git_does_not_have_is_named(repository: Path, ref: str, folder: str, sentence: str) -> None:
    """An unknown ref and a folder that is not there are told apart."""
    with pytest.raises(ContractError, match=sentence):
        Snapshot.at_ref(repository, ref, folder)


def test_a_shallow_clone_says_that_it_is_one(repository: Path, tmp_path: Path) -> None:
    """Where the ref may only be missing because history was not fetched, the mend is to fetch it."""
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(ContractError, match="this clone is shallow"):
        Snapshot.at_ref(tmp_path / "shallow", "HEAD~1", "promises/events")


def test_a_folder_without_git_says_so(tmp_path: Path) -> None:
    """No repository is not an unknown ref."""
    with pytest.raises(ContractError, match="is no git repository"):
        Snapshot.at_ref(tmp_path, "HEAD", "promises/events")


def test_broken_json_names_its_file(tmp_path: Path) -> None:
    """A registry or a schema that is no JSON is named; a schema that is missing is only left out."""
    folder = Path(shutil.copytree(CONTRACTS, tmp_path / "events"))
    (folder / "schemas" / "order.created.v1.json").unlink()
    assert "order.created.v1" not in Snapshot.of_folder(folder).schemas
    (folder / "schemas" / "order.created.v1.json").write_text("{", encoding="utf-8")
    with pytest.raises(ContractError, match=r"order\.created\.v1\.json is not JSON"):
        Snapshot.of_folder(folder)
    (folder / "event-contracts.json").write_text(json.dumps([]), encoding="utf-8")
    with pytest.raises(ContractError, match='has no object "events"'):
        Snapshot.of_folder(folder)
    (folder / "event-contracts.json").unlink()
    with pytest.raises(ContractError, match="There is no event-contracts.json"):
        Snapshot.of_folder(folder)
