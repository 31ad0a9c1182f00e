"""The gate in a real git repository: a branch breaks something, the script says who breaks, where, why, and exits 1."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ecom.contracts.check import ROOT
from tests.contracts.editing import edit

AUTHORIZED = Path("contracts/events/schemas/payment.authorized.v1.json")
CREATED = Path("contracts/events/schemas/order.created.v1.json")


@dataclass(frozen=True)
class Repository:
    """A copy of the code and the contracts in a git repository of its own, whose main is green."""

    root: Path

    def git(self, *arguments: str) -> str:
        """Run git, and say what it printed."""
        argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.local", "-C", str(self.root), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def gate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script as CI does."""
        return self.run(str(self.root / "scripts" / "check_event_contracts.py"), *arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python from outside of the repository, with the branch's own code."""
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([f"{self.root}/src", f"{self.root}/packages/dovecote/src"]),
        }
        argv = [sys.executable, *arguments]
        return subprocess.run(
            argv, cwd=self.root.parent, env=environ, capture_output=True, text=True, check=False, timeout=100
        )

    def replace(self, file: str, pattern: str, by: str) -> None:
        """Change a file's text; what is to be changed must be there."""
        path = self.root / file
        text, count = re.subn(pattern, by, path.read_text(encoding="utf-8"))
        assert count, f"{pattern} is not in {file}"
        path.write_text(text, encoding="utf-8")

    def everywhere(self, old: str, new: str) -> None:
        """Replace a word in every file of code and contracts, and in their names."""
        for path in [*self.root.glob("src/**/*"), *self.root.glob("contracts/events/**/*")]:
            if path.suffix in {".py", ".yml", ".json"} and old in (text := path.read_text(encoding="utf-8")):
                path.write_text(text.replace(old, new), encoding="utf-8")
        for path in sorted(self.root.glob(f"contracts/events/*/{old}*")):
            path.rename(path.with_name(path.name.replace(old, new)))


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The repository on main. A payment may also be HELD there, and order reads which: an enum to be narrowed."""
    root = tmp_path_factory.mktemp("gate") / "shop"
    for part in ("src", "packages/dovecote/src", "contracts", "scripts"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
    main = Repository(root)
    edit(root / AUTHORIZED, lambda d: d["properties"].update(status={"enum": ["AUTHORIZED", "HELD"]}))
    main.replace("src/ecom/contracts/payment.py", r'Literal\["AUTHORIZED"\]', 'Literal["AUTHORIZED", "HELD"]')
    reader = '(EVENT: ClassVar\\[str\\] = "payment.authorized.v1"\n\n)'
    main.replace("src/ecom/order/domain.py", reader, r'\1    status: Literal["AUTHORIZED", "HELD"]\n')
    main.replace("src/ecom/order/domain.py", "from typing import ClassVar", "from typing import ClassVar, Literal")
    main.git("init", "--quiet", "--initial-branch=main")
    main.git("add", ".")
    main.git("commit", "--quiet", "--message=main")
    return main


@pytest.fixture
def branch(main: Repository) -> Repository:
    """The repository on a branch, as main is."""
    main.git("checkout", "--quiet", "--force", "-B", "branch", "main")
    main.git("clean", "--quiet", "--force", "-d", "src", "contracts")
    return main


def test_main_is_green_against_itself(branch: Repository) -> None:
    """Nothing was changed: exit 0, both reports are written, and the branch's own code was asked."""
    done = branch.gate("--base", "main")
    assert (done.returncode, done.stderr) == (0, "")
    assert "15 event contracts, 0 errors, 0 changes since main" in done.stdout
    for ending in ("json", "md"):
        assert (branch.root / "build-artifacts" / f"event-contracts-report.{ending}").exists()


def stopped(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The changes that stopped at the gate, of its JSON output, which is all that was printed."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["ok"] is False
    return [change for change in document["changes"] if change["stops"]]


def test_a_removed_required_field_names_its_readers(branch: Repository) -> None:
    """userId of order.created is gone from schema and writer: payment and notification insist on it, inventory not."""
    edit(branch.root / CREATED, lambda d: (d["properties"].pop("userId"), d["required"].remove("userId")))
    branch.replace(
        "src/ecom/contracts/order.py", r"(class OrderCreated[^@]*?    order_id: \w+\n)    user_id: \w+\n", r"\1"
    )
    branch.replace("src/ecom/order/domain.py", r"(OrderCreated\(\s+order_id=[^\n]*\n)\s+user_id=[^\n]*\n", r"\1")
    done = branch.gate("--base", "main", "--json")
    (change,) = stopped(done)
    assert (change["event"], change["pointer"]) == ("order.created.v1", "/properties/userId")
    assert change["breaks"] == ["notification-service", "payment-service"]
    assert change["verdict"].startswith("breaks readers")
    assert "userId" not in json.loads(change["witness"])
    assert "order.created.v2" in change["mend"]
    # The readers' Structs ask for what is promised no more: an error of its own.
    told = [(error["file"], error["pointer"]) for error in json.loads(done.stdout)["errors"]]
    assert ("contracts/events/schemas/order.created.v1.json", "/properties/userId") in told


def test_a_narrowed_enum_names_its_readers(branch: Repository) -> None:
    """HELD is no status any more: order, whose code knows it no longer, chokes on the events that main still says."""
    edit(branch.root / AUTHORIZED, lambda d: d["properties"].update(status={"enum": ["AUTHORIZED"]}))
    for file in ("src/ecom/contracts/payment.py", "src/ecom/order/domain.py"):
        branch.replace(file, r', "HELD"\]', "]")
    done = branch.gate("--base", "main")
    assert (done.returncode, done.stderr) == (1, "")
    assert "STOPPED payment.authorized.v1#/properties/status" in done.stdout
    assert "breaks: order-service" in done.stdout
    assert '"status":"HELD"' in done.stdout.replace(" ", "")
    assert "mend: " in done.stdout
    assert "15 event contracts, 0 errors, 1 change since main, 1 may not pass" in done.stdout


def test_a_renamed_event_names_who_waits_for_ever(branch: Repository) -> None:
    """Renamed in registry, schema, examples, code and configuration: the check is content, who hears it is not."""
    branch.everywhere("inventory.reserved", "stock.reserved")
    branch.everywhere("inventory-reserved", "stock-reserved")
    (change,) = stopped(branch.gate("--base", "main", "--json"))
    assert (change["event"], change["breaks"]) == ("inventory.reserved.v1", ["order-service"])
    assert "renamed to stock.reserved.v1" in change["what"]


def test_a_topic_renamed_in_one_service_names_who_would_not_hear(branch: Repository) -> None:
    """The error stands at the configuration's key, and says who listens elsewhere."""
    branch.replace("src/ecom/order/application.yml", r"order-created: \S+", "order-created: orders")
    done = branch.gate("--base", "main", "--json")
    assert [change["what"].split(":")[0] for change in stopped(done)] == [
        "its topic was order.created.v1 and is orders"
    ]
    (error,) = json.loads(done.stdout)["errors"]
    assert (error["file"], error["pointer"]) == ("src/ecom/order/application.yml", "/app/kafka/topics/order-created")
    assert "inventory-service, notification-service, payment-service would not hear it" in error["error"]


def test_a_topic_renamed_everywhere_names_who_listens_to_the_old_one(branch: Repository) -> None:
    """The services still meet, so it is no error; it breaks whoever else listens, and what waits in the old topic."""
    branch.everywhere("order-created: order.created.v1", "order-created: orders")
    done = branch.gate("--base", "main", "--json")
    assert json.loads(done.stdout)["errors"] == []
    (change,) = stopped(done)
    assert change["event"] == "order.created.v1"
    assert change["breaks"] == ["inventory-service", "notification-service", "payment-service"]


def test_a_release_that_main_has_may_not_go(branch: Repository) -> None:
    """With the copy gone there would be nothing to compare with; a branch that only adds a release may."""
    released = branch.root / "contracts" / "released"
    (released / "0.0.1").mkdir(parents=True)
    shutil.copytree(branch.root / "contracts" / "events", released / "0.0.1", dirs_exist_ok=True)
    branch.git("add", ".")
    branch.git("commit", "--quiet", "--message=released")
    branch.git("branch", "--force", "released-once")
    shutil.rmtree(released)
    done = branch.gate("--base", "released-once", "--json")
    assert done.returncode == 1
    errors = {error["file"]: error["error"] for error in json.loads(done.stdout)["errors"]}
    assert "a release that released-once has" in errors["contracts/released/0.0.1/event-contracts.json"]


def test_a_release_is_made_of_what_may_pass_only(branch: Repository) -> None:
    """`ecom contracts release` keeps a compatible change, and refuses one that breaks somebody."""
    make = ("-P", "-m", "ecom.cli", "contracts", "release", "0.2.0")
    kept = branch.root / "contracts" / "released" / "0.2.0"
    # What main had before the fixture let a payment be HELD is released, so that this is a change that breaks.
    done = branch.run(*make)
    assert (done.returncode, kept.exists()) == (1, False)
    assert "STOPPED payment.authorized.v1#/properties/status" in done.stdout
    assert done.stderr == "ecom contracts: 0.2.0 is not released: mend the above first\n"
    for part in (AUTHORIZED, Path("src/ecom/contracts/payment.py"), Path("src/ecom/order/domain.py")):
        shutil.copy(ROOT / part, branch.root / part)
    done = branch.run(*make)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "contracts/released/0.2.0: 15 events of release 0.2.0\n"
    assert (kept / "schemas" / CREATED.name).read_bytes() == (branch.root / CREATED).read_bytes()


USAGE: list[tuple[list[str], str]] = [
    (["--base", "nowhere"], "There is no commit 'nowhere'"),
    (["--old", "contracts"], "--old and --new go together"),
    (["--old", "nowhere", "--new", "elsewhere"], "There is no event-contracts.json in nowhere"),
]


@pytest.mark.parametrize(("arguments", "sentence"), USAGE)
def test_wrong_usage_is_one_line(branch: Repository, arguments: list[str], sentence: str) -> None:
    """Exit 2, nothing on stdout, one clear line on stderr."""
    done = branch.gate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert sentence in line


def test_two_folders_of_a_foreign_project_are_compared_without_code(branch: Repository, tmp_path: Path) -> None:
    """No registry of services is asked: whoever is registered as a consumer may break."""
    old, new = (Path(shutil.copytree(branch.root / "contracts" / "events", tmp_path / name)) for name in ("old", "new"))
    edit(new / "schemas" / CREATED.name, lambda d: d["properties"]["email"].pop("maxLength"))
    folders = ["--old", str(old), "--new", str(new)]
    (change,) = stopped(branch.gate(*folders, "--allow-unread", "--json"))
    assert (change["event"], change["pointer"]) == ("order.created.v1", "/properties/email/maxLength")
    assert change["consumers"] == ["inventory-service", "notification-service", "payment-service"]
    assert change["unread"] is False
    assert branch.gate("--old", str(old), "--new", str(old)).returncode == 0


def test_code_that_cannot_be_asked_is_one_line(branch: Repository) -> None:
    """A configuration with which no service starts ends the gate with its own sentence, and no traceback."""
    (branch.root / "src" / "ecom" / "order" / "application.yml").write_text("app: [", encoding="utf-8")
    done = branch.gate("--base", "main")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "application.yml cannot be read" in line
