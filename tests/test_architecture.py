"""The house rules that a machine can hold: who imports whom, what ships, how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("agent", "tools", "runtime", "prompts", "sandbox")
MAX_LINES = 400

# What each part may import of ours, itself aside. The agent's edges are held by AGENT_EDGES.
MAY_IMPORT = {
    "runtime": set[str](),
    "sandbox": set[str](),
    "prompts": set[str](),
    "tools": {"sandbox"},
    "agent": {"tools", "sandbox", "prompts", "runtime"},
}
CONSUMERS = ("agent.cli", "agent.tui", "agent.live", "agent.fix", "agent.swebench")
RUNTIME_USERS = ("agent.local_server",)


def python_files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Modules of ours that ``path`` imports, anywhere in it, without the leading package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("rnj_agent.") and name != "rnj_agent.__version__":
                yield name.removeprefix("rnj_agent.")


@pytest.mark.parametrize("path", list(python_files()), ids=module_name)
def test_imports_follow_the_direction(path: Path) -> None:
    own = module_name(path).split(".")[0]
    for name in imports_of(path):
        target = name.split(".")[0]
        assert target in MAY_IMPORT[own] | {own}, f"{module_name(path)} imports {name}"


def is_within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("path", sorted((ROOT / "agent").rglob("*.py")), ids=module_name)
def test_the_core_never_imports_a_consumer(path: Path) -> None:
    if is_within(module_name(path), CONSUMERS):
        return
    for name in imports_of(path):
        assert not is_within(name, CONSUMERS), f"{module_name(path)} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "agent").rglob("*.py")), ids=module_name)
def test_only_the_edges_import_the_runtime(path: Path) -> None:
    """The loop speaks HTTP to every model: only starter and CLI know the runtime."""
    if is_within(module_name(path), (*RUNTIME_USERS, "agent.cli")):
        return
    for name in imports_of(path):
        assert not name.startswith("runtime"), f"{module_name(path)} imports {name}"


def test_nothing_imports_the_tui() -> None:
    for path in python_files():
        if not is_within(module_name(path), ("agent.tui", "agent.cli")):
            assert not any(is_within(name, ("agent.tui",)) for name in imports_of(path))


def test_no_relative_imports() -> None:
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_no_file_outgrows_the_house() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in python_files()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long


def shipped_files() -> set[str]:
    """What the tree says a wheel holds: the five folders, as rnj_agent/<folder>."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    names = {f"rnj_agent/{name}" for name in tracked.split("\0") if name and (ROOT / name).exists()}
    return names | {"rnj_agent/__init__.py", "rnj_agent/py.typed"}


def test_the_wheel_holds_exactly_the_tree(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == shipped_files()


def test_the_sdist_builds_the_same_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == shipped_files()
