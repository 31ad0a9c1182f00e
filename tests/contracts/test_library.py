"""The gate for a project that is not this shop: the library's example of two services, run as its README says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ecom.contracts.check import ROOT
from tests.contracts.editing import edit

LIBRARY = ROOT / "packages" / "dovecote"
README = (LIBRARY / "README.md").read_text(encoding="utf-8")
LENT = Path("lending/contracts/schemas/book.lent.v1.json")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example to break."""
    for name in ("lending.py", "lending"):
        copy = shutil.copytree if name == "lending" else shutil.copy
        copy(LIBRARY / "examples" / name, tmp_path / name)
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the example in a Python that sees no folder but the installed packages."""
    argv = [sys.executable, "-I", str(project / "lending.py"), *arguments]
    return subprocess.run(argv, cwd=project, capture_output=True, text=True, check=False, timeout=60)


def test_the_example_is_short_and_shown() -> None:
    """About thirty lines beside the imports; the README shows what runs."""
    source = (LIBRARY / "examples" / "lending.py").read_text(encoding="utf-8")
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith(("import", "from", '"""'))]
    assert len(lines) <= 30
    (heart,) = [block for block in README.split("```python\n") if block.startswith("writers = ")]
    assert heart.split("```")[0] in source


def test_it_passes_and_releases_what_may_pass(project: Path) -> None:
    """Green as it stands; an optional field passes and is released; a release is made once."""
    done = run(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 event contracts, 0 errors, 0 changes since release 0.1.0\n"
    edit(project / LENT, lambda d: d["properties"].update(place={"type": "string"}))
    source = project / "lending.py"
    added = "borrower: int\n    due: date\n"
    source.write_text(source.read_text().replace(added, f"{added}    place: str | None = None\n"))
    examples = project / "lending" / "contracts" / "examples" / "book.lent.v1"
    shutil.copy(examples / "full.json", examples / "full-2.json")
    edit(examples / "full-2.json", lambda d: d.update(place="Köln"))
    done = run(project, "release", "0.2.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passes book.lent.v1#/properties/place" in done.stdout
    assert run(project).stdout == "2 event contracts, 0 errors, 0 changes since release 0.2.0\n"


def test_a_broken_reader_is_named_as_the_readme_says(project: Path) -> None:
    """`due` is taken out: who breaks, where and why stand in the README word for word, and nothing is released."""
    edit(project / LENT, lambda d: (d["properties"].pop("due"), d["required"].remove("due")))
    source = project / "lending.py"
    source.write_text(source.read_text().replace("    borrower: int\n    due: date\n", "    borrower: int\n"))
    done = run(project, "release", "0.2.0")
    assert (done.returncode, done.stderr) == (1, "")
    assert f"```\n{done.stdout}```" in README
    assert not (project / "lending" / "released" / "0.2.0").exists()


def test_a_narrowed_enum_names_the_reader(project: Path) -> None:
    """WORN is no state any more; what was said with it still waits to be read."""
    edit(
        project / "lending" / "contracts" / "schemas" / "book.returned.v1.json",
        lambda d: d["properties"].update(state={"enum": ["GOOD"]}),
    )
    source = project / "lending.py"
    source.write_text(source.read_text().replace('Literal["GOOD", "WORN"]', 'Literal["GOOD"]'))
    told = run(project).stdout
    assert "examples/book.returned.v1/full.json#/state: its schema refuses it" in told
    assert "STOPPED book.returned.v1#/properties/state" in told
    assert "breaks: reminder-service" in told
