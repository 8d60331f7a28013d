"""The walls of the house, measured: who imports whom, and how long anything may be.

Imports go down only, never sideways or up, along `BELOW`; what a room may name is everything that
its arrows reach. The rows are those of the plan; a room that is not in them fails.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import vicinal

SRC = Path(vicinal.__file__).parent
FILES = sorted(SRC.rglob("*.py"))
GROUND = {"_checks", "_errors", "_typing", "_version"}
"""Everyone may import these; among them, only what `BELOW` says."""

BELOW: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {"report", "campaigns", "recipes"},
    "campaigns": {"recipes", "evaluation", "records"},
    "report": {"records"},
    "recipes": {
        "engine",
        "evaluation",
        "objectives",
        "attacks",
        "corruptions",
        "models",
        "data",
    },
    "engine": {"metrics", "records"},
    "evaluation": {"attacks", "corruptions", "metrics", "records"},
    "objectives": {"labels", "inputs"},
    "attacks": {"inputs"},
    "inputs": {"gradients"},
    "gradients": {"maths"},
    "labels": {"maths"},
    "metrics": {"maths"},
    "corruptions": {"maths"},
    "models": {"maths"},
    "data": {"maths"},
    "maths": set(),
    "records": set(),
    "_checks": {"_errors"},
    "_typing": set(),
    "_errors": set(),
    "_version": set(),
}
NO_TORCH = {"report", "records", "_errors", "_version"}
NO_NAMES = {"utils", "util", "helpers", "base", "common", "misc", "tools", "core"}
OPTIONAL = ("torchvision", "matplotlib", "scipy", "foolbox", "autoattack", "pandas")


def name_of(path: Path) -> str:
    parts = ("vicinal", *path.relative_to(SRC).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path) for path in FILES}


def room_of(module: str) -> str:
    """The room of a module: vicinal.inputs.pgd is in inputs, vicinal itself in the empty one."""
    return module.split(".")[1] if "." in module else ""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, *, at_run_time: bool = False) -> set[str]:
    """Names that a file imports, a type checker's own included unless told otherwise."""
    tree, skipped, found = tree_of(path), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= {id(inner) for part in node.body for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if at_run_time and id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path, *, at_run_time: bool = False) -> set[str]:
    """Modules of the library that a file imports, or takes a name from."""
    names = imports(path, at_run_time=at_run_time)
    found = {n if n in MODULES else n.rpartition(".")[0] for n in names}
    return (found & MODULES) - {"vicinal"}


@cache
def reach(room: str) -> frozenset[str]:
    return frozenset(BELOW[room] | {r for below in BELOW[room] for r in reach(below)})


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def code_lines(path: Path) -> int:
    """Lines that hold code: no docstring, comment or blank."""
    tree, docstrings = tree_of(path), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings |= set(range(first.lineno, int(first.end_lineno or 0) + 1))
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return sum(
        1 for n, line in lines if n not in docstrings and line.strip() and line.strip()[0] != "#"
    )


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


@every_file
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(name_of(path))
    if room == "":
        return  # the front door names every room, lazily: see below
    assert room in BELOW, f"{room} is in no row of the plan"
    named = {room_of(name) for name in ours(path)} - {room}
    allowed = reach(room) | (GROUND if room not in GROUND else set())
    assert not named - allowed, f"{name_of(path)} imports {sorted(named - allowed)}"


def test_the_plan_itself_has_no_cycle_and_no_unknown_room() -> None:
    assert all(room not in reach(room) for room in BELOW)
    assert {below for rooms in BELOW.values() for below in rooms} <= BELOW.keys()


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Cycles between modules, at run time: a room's own __init__ may import its files."""
    graph = {name_of(path): ours(path, at_run_time=True) for path in FILES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for name in graph[module] - {module}:
                visit(name, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@every_file
def test_every_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(tree_of(path)), "no module docstring"
    assert len(text.splitlines()) <= 400
    assert not NO_NAMES & {path.stem, path.parent.name}
    assert path.stem.isascii()
    assert text.isascii() or all(ord(c) < 0x2500 or c == "\u2713" for c in text)
    for word in ("TODO", "FIXME", "XXX"):
        assert word not in text
    assert not [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)]
    if room_of(name_of(path)) == "objectives" and path.name != "__init__.py":
        assert code_lines(path) <= 60


@every_file
def test_every_function_is_short(path: Path) -> None:
    for function in functions(path):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        length = int(function.end_lineno or 0) - body[0].lineno + 1 if body else 0
        assert length <= 40, f"{function.name} has {length} lines"
        positional = [*function.args.posonlyargs, *function.args.args]
        count = len([a for a in positional if a.arg not in {"self", "cls"}])
        assert count <= 7, f"{function.name} takes {count} positional arguments"
        assert function.args.kwarg is None, f"{function.name} takes **{function.args.kwarg.arg}"


@every_file
def test_what_is_public_is_listed(path: Path) -> None:
    """Every file with a public definition says in `__all__` what it offers, and has it."""
    names = [
        node.name
        for node in tree_of(path).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ]
    if not any(not name.startswith("_") for name in names) and path.name != "__init__.py":
        return
    if len(tree_of(path).body) == 1:
        return  # a docstring alone offers nothing
    module = importlib.import_module(name_of(path))
    assert hasattr(module, "__all__")
    assert all(hasattr(module, name) for name in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)


def test_tests_mirror_the_library() -> None:
    here = Path(__file__).parent
    for path in here.glob("*/test_*.py"):
        file = path.stem.removeprefix("test_").replace("init", "__init__")
        assert (SRC / path.parent.name / f"{file}.py").exists(), path.relative_to(here)


def test_a_public_object_has_one_import_path() -> None:
    """No room offers an object that another room offers too, their own contracts apart."""
    homes: dict[int, set[str]] = {}
    for info in pkgutil.iter_modules([str(SRC)]):
        if not info.ispkg:
            continue
        room: ModuleType = importlib.import_module(f"vicinal.{info.name}")
        for name in getattr(room, "__all__", []):
            thing = getattr(room, name)
            if getattr(thing, "__module__", "").startswith(f"vicinal.{info.name}"):
                homes.setdefault(id(thing), set()).add(f"{info.name}.{name}")
    assert not [paths for paths in homes.values() if len(paths) > 1]


@pytest.mark.parametrize("room", sorted(NO_TORCH))
def test_reports_and_records_are_written_without_torch(room: str) -> None:
    for path in FILES:
        if room_of(name_of(path)) == room:
            named = {name.split(".")[0] for name in imports(path)}
            assert not named & {"torch", "numpy", "sklearn", "torchvision"}, name_of(path)


def loaded_after(statement: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize("name", ["vicinal", "vicinal.records", "vicinal.report"])
def test_it_is_imported_in_a_blink(name: str) -> None:
    loaded = loaded_after(f"import {name}")
    assert not loaded & {"torch", "numpy", "sklearn", "pydantic", "yaml"}
    rooms = {module for module in loaded if module.startswith("vicinal.")}
    allowed = {"vicinal._version", "vicinal._errors", "vicinal.records"}
    assert not {m for m in rooms - allowed if not m.startswith("vicinal.report")}


def test_no_room_needs_an_optional_package() -> None:
    rooms = [info.name for info in pkgutil.iter_modules([str(SRC)]) if info.name != "__main__"]
    loaded = loaded_after("; ".join(f"import vicinal.{room}" for room in rooms))
    assert not loaded & set(OPTIONAL) - {"scipy"}  # scikit-learn brings scipy with it
    for path in FILES:
        assert not {name.split(".")[0] for name in imports(path)} & set(OPTIONAL), name_of(path)


def test_the_front_door_opens_every_room() -> None:
    for name in vicinal.__all__:
        assert getattr(vicinal, name) is not None
    assert set(dir(vicinal)) == set(vicinal.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = vicinal.nonsense
