"""House rules about files: what each is for, how long it may be, and words that must not stand in one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.repository import python_files, relative, tracked

LINES_MAX = 300
# A file that only says what kind of thing it holds, and not what thing.
EMPTY_NAMES = {"common", "utils", "util", "helpers", "core", "manager", "base", "misc"}
# Loops' edges, the page of outcomes and what hands errors on: whatever is raised there has somewhere to go.
MAY_CATCH_ALL = {
    f"packages/dovecote/src/dovecote/{name}.py"
    for name in ("consumer", "delivery", "gather", "intents", "redrive", "relay", "schedule", "service", "term")
} | {"src/ecom/web/express.py"}
# Put together here, so that this file does not hold them itself.
BANNED = re.compile(
    "|".join(
        [
            "/wo" + "rk/",
            "/ro" + "ot/",
            "py" + r"pi\.org",
            "python" + "hosted",
            r"repo1\." + "maven",
            r"proxy\.go" + "lang",
            r"registry\.npm" + "js",
            r"deb\.deb" + "ian",
            r"crates\." + "io",
            r"\bTO" + r"DO\b",
            r"\bFIX" + r"ME\b",
        ]
    )
)


def test_the_rules_look_at_the_whole_repository() -> None:
    """The list of files is not empty and reaches every part."""
    names = {relative(path) for path in python_files()}
    assert len(names) > 100
    for part in ("packages/dovecote/src/dovecote/", "src/ecom/order/", "tests/house/", "scripts/"):
        assert any(name.startswith(part) for name in names), part


def test_every_file_says_in_its_first_line_what_it_is_for() -> None:
    """A module begins with its docstring, and the docstring's first line is a sentence of its own."""
    silent = []
    for path in python_files():
        text = path.read_text()
        if path.name == "__init__.py" and not text:
            continue  # only there so that a folder of tests can share its helpers
        body = text.splitlines()[1:] if text.startswith("#!") else text.splitlines()
        doc = ast.get_docstring(ast.parse(text), clean=False) or ""
        if not body or not body[0].startswith('"""') or not doc.splitlines()[0].strip():
            silent.append(relative(path))
    assert silent == []


def test_no_file_is_longer_than_a_reader_holds_in_mind() -> None:
    """No Python or SQL file has more than 300 lines."""
    lengths = {relative(path): len(path.read_text().splitlines()) for path in tracked("*.py", "*.sql")}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


def test_a_file_is_a_noun() -> None:
    """No module or folder is called after what it is made of."""
    assert [relative(p) for p in python_files() if EMPTY_NAMES & {p.stem, p.parent.name}] == []


def test_no_machine_path_registry_or_unowned_wish_stands_in_a_file() -> None:
    """No path of one machine, no host of a package registry, no wish without an owner."""
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if match := BANNED.search(line):
                found.append(f"{relative(path)}:{number}: {match[0]}")
    assert found == []


def test_only_the_edges_catch_everything() -> None:
    """`except Exception` stands where an error has somewhere to go: the delivery page and the loops' edges."""
    found = set()
    for path in tracked("src/*.py", "packages/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and _catches_all(node):
                found.add(relative(path))
    assert found <= MAY_CATCH_ALL


def _catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches every Exception."""
    caught = handler.type
    names = [caught] if not isinstance(caught, ast.Tuple) else caught.elts
    return caught is None or any(isinstance(name, ast.Name) and name.id == "Exception" for name in names)


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The test functions of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def test_every_test_says_what_it_proves() -> None:
    """Each test has a docstring."""
    silent = [
        f"{relative(path)}::{test.name}"
        for path in tracked("tests/*test_*.py")
        for test in functions_of(path)
        if not ast.get_docstring(test)
    ]
    assert silent == []


@pytest.mark.parametrize("call", ["sleep"])
def test_tests_wait_for_conditions_and_do_not_sleep(call: str) -> None:
    """No test sleeps for longer than the pause between two looks at a condition."""
    found = []
    for path in tracked("tests/*test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == call:
                seconds = node.args[0] if node.args else None
                if not isinstance(seconds, ast.Constant) or float(seconds.value) > 0.2:
                    found.append(f"{relative(path)}:{node.lineno}")
    assert found == []
