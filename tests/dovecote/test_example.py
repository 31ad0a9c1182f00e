"""The library alone: its wheel, what it declares to need, and its example, on the real servers."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import asyncpg
import pytest
from packaging.requirements import Requirement

from dovecote.kafka import Admin

LIBRARY = Path(__file__).resolve().parents[2] / "packages" / "dovecote"
HELLO = LIBRARY / "examples" / "hello.py"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the library's wheel, what the wheel says it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    source = shutil.copytree(LIBRARY, folder / "source", ignore=shutil.ignore_patterns(".mypy_cache", "__pycache__"))
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist"), cwd=source)
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
    python = folder / "venv" / "bin" / "python"
    (wheel,) = (folder / "dist").glob("dovecote-*.whl")
    _run(sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q", str(wheel))
    packages = Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
    (metadata,) = packages.glob("dovecote-*.dist-info")
    for needed in _closure(Distribution.at(metadata)):
        for part in {file.parts[0] for file in needed.files or () if file.parts[0] not in {"..", "__pycache__"}}:
            if not (packages / part).exists():
                (packages / part).symlink_to(Path(str(needed.locate_file(part))))
    return python


def _run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _closure(root: Distribution) -> Iterator[Distribution]:
    """Every distribution that the root needs here, extras included, as the lock installed it."""
    waiting, seen = [(root, "")], set()
    while waiting:
        needing, extra = waiting.pop()
        for requirement in map(Requirement, needing.requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            needed = distribution(requirement.name)
            for part in ("", *requirement.extras):
                if (needed.name, part) not in seen:
                    seen.add((needed.name, part))
                    waiting.append((needed, part))
                    yield needed


def test_the_wheel_stands_alone(alone: Path) -> None:
    """Every module of the library is importable from the wheel with what it declares, and nothing of ours is there."""
    program = """
import importlib, importlib.util, pkgutil, dovecote
for module in pkgutil.walk_packages(dovecote.__path__, "dovecote."):
    importlib.import_module(module.name)
print(dovecote.__file__)
print(*(name for name in ("ecom", "litestar", "pytest", "uvloop", "pyarrow") if importlib.util.find_spec(name)))
"""
    where, strangers = _run(alone, "-I", "-c", program).splitlines()
    assert Path(where).is_relative_to(alone.parents[1])
    assert strangers == ""


async def test_the_example_runs(
    alone: Path, empty_database_url: str, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """The 40-line service, run twice from the wheel alone: it changes, says, hears, and stops by itself."""
    examples = shutil.copytree(HELLO.parent, tmp_path / "examples")
    # Names that no other run on the same Kafka uses; the schema file keeps its name.
    event = f"hello.greeted-{prefix.strip('_')}.v1"
    for path in (examples / "hello.py", examples / "contracts" / "event-contracts.json"):
        renamed = (
            path.read_text().replace('"hello.greeted.v1"', f'"{event}"').replace("hello-service", f"{prefix}hello")
        )
        path.write_text(renamed)
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": empty_database_url, "KAFKA": bootstrap}
    for times in (1, 2):
        told = await asyncio.to_thread(_run, alone, "-I", examples / "hello.py", cwd=tmp_path, env=environ)
        assert told.splitlines()[-1] == f"Greeted the world, {times} in all, and heard of it."
    await Admin(bootstrap).delete_topics([event])
    connection = await asyncpg.connect(empty_database_url)
    person = await connection.fetchrow("SELECT name, greeted, heard FROM hello.person")
    await connection.close()
    assert dict(person) == {"name": "world", "greeted": 2, "heard": 2}


def test_the_example_is_short() -> None:
    """A complete service is 40 lines, blank ones not counted."""
    assert sum(1 for line in HELLO.read_text().splitlines() if line.strip()) <= 40


def test_the_readme_shows_the_example() -> None:
    """What the README shows of the example is what runs; its other snippets are Python."""
    blocks = BLOCK.findall((LIBRARY / "README.md").read_text())
    assert all(block in HELLO.read_text() for block in blocks[:2])
    for block in blocks[2:]:
        compile(block, "README.md", "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT
