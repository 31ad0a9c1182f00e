"""Where the source of a service uses the Structs of events: only a producer builds its events, and it must."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from dovecote.contracts.code import Saying
from dovecote.contracts.problem import shown
from dovecote.events import Event


def sayings(folder: Path, service: str, structs: Collection[type[Event]], root: Path) -> Iterator[Saying]:
    """Each use of a writer's Struct as a value below a folder, found by what the file imports.

    ``builds`` marks a call of it. A Struct that is only put in a variable may be called through that; an annotation,
    and reading its EVENT, is no use. Raises SyntaxError where a file is no Python.
    """
    events = {f"{struct.__module__}.{struct.__name__}": struct.EVENT for struct in structs}
    modules = {struct.__module__ for struct in structs}
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not any(module in text for module in modules):
            continue  # most files: walking a tree is slow
        nodes = list(ast.walk(ast.parse(text)))
        names = {
            alias.asname or alias.name: events[f"{node.module}.{alias.name}"]
            for node in nodes
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if f"{node.module}.{alias.name}" in events
        }
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        beside = _annotations(nodes)
        for node in nodes:
            if isinstance(node, ast.Name) and node.id in names and id(node) not in beside:
                yield Saying(service, names[node.id], shown(path, root), node.lineno, builds=id(node) in called)


def _annotations(nodes: Sequence[ast.AST]) -> set[int]:
    """The nodes that say what something is (annotations, type aliases), and those of which an attribute is read."""
    found: list[ast.AST] = []
    for node in nodes:
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            found.append(node.returns)
        elif isinstance(node, ast.Attribute):
            found.append(node.value)
        elif isinstance(node, ast.Subscript):
            found.append(node.slice)
        elif isinstance(node, ast.BinOp):
            found.append(node)
    return {id(inner) for node in found for inner in ast.walk(node)}
