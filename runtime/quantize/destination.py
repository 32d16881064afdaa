"""Where the result goes: ``DST.partial`` until it is whole, then ``DST`` by one rename.

``DST.partial`` says in a manifest of which source and plan it is the beginning. It outlives kills,
crashes and full disks, and is taken up by the next run of the same plan.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.fetch.lock import exclusive

MANIFEST = "quantizing.json"
LOCK = "quantizing.lock"
JOURNALS = "*.journal"


def partial_folder(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


def check_target(source: Path, target: Path, *, replace: bool) -> None:
    """Refuse what would overwrite something that is not ours to overwrite.

    Raises:
        RequestError: the target is or holds the source, lies within it, or exists.
    """
    inner, outer = target.resolve(), source.resolve()
    if inner == outer:
        raise RequestError(f"{target} is the source itself.", hint="Name another folder.")
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise RequestError(
            f"{target} and the source {source} lie within each other.", hint="Name another folder."
        )
    if outer.is_relative_to(partial_folder(inner)):
        raise RequestError(f"The source {source} is where work for {target} is kept.")
    if target.is_symlink():
        raise RequestError(
            f"{target} is a symbolic link, which the result would replace.",
            hint="Name the folder that it points to, or another one.",
        )
    if target.exists() and not _is_empty_folder(target):
        _check_replaceable(target, replace)


@contextmanager
def work_folder(
    target: Path, plan_id: str, on_notice: Callable[[str], None]
) -> Generator[Path, None, None]:
    """``DST.partial``, locked, with nothing in it but the beginnings of this plan.

    Raises:
        RequestError: someone else works there, or has put other things there.
        OSError: it cannot be made.
    """
    folder = partial_folder(target)
    if folder.is_symlink():
        raise RequestError(f"{folder} is a symbolic link.", hint=f"rm {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    _check_ours(folder)
    with exclusive(folder / LOCK, lambda: _refuse_to_wait(folder)):
        found = _read_manifest(folder)
        if found not in {None, plan_id}:
            on_notice(f"Starting over: {folder} was begun from another state of the source.")
        if found != plan_id:
            _clear(folder)
            _write_manifest(folder, plan_id)
        yield folder


def publish(folder: Path, target: Path) -> None:
    """Give the finished folder its name. What is there must be replaceable; it is gone then."""
    for journal in folder.glob(JOURNALS):
        journal.unlink()
    _sync(folder)
    old = _replaced_folder(target)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists() and not _is_empty_folder(target):
        target.rename(old)
    folder.rename(target)
    _sync(target.parent)
    settle(target)


def settle(target: Path) -> str | None:
    """Tidy up after the rename, if an earlier run was killed before it could.

    Returns:
        The id of the plan that was just made or found made; None: there was nothing to tidy up.
    """
    plan_id = _read_manifest(target)
    if plan_id is not None:
        (target / LOCK).unlink(missing_ok=True)
        shutil.rmtree(_replaced_folder(target), ignore_errors=True)
        (target / MANIFEST).unlink()
    return plan_id


def _replaced_folder(target: Path) -> Path:
    return target.with_name(target.name + ".replaced")


def _check_replaceable(target: Path, replace: bool) -> None:
    if not (target / "config.json").is_file():
        raise RequestError(
            f"{target} exists, and is no model that could be replaced.", hint="Name another folder."
        )
    if not replace:
        raise RequestError(f"{target} exists.", hint="Name another folder, or replace it: --force")


def _check_ours(folder: Path) -> None:
    """Only a folder with a manifest is ever cleared; one may have been killed before it had one."""
    if (folder / MANIFEST).exists():
        return
    others = {path.name for path in folder.iterdir()} - {LOCK, MANIFEST + ".new"}
    if others:
        raise RequestError(
            f"{folder}, where unfinished work is kept, holds something else: {min(others)}.",
            hint=f"Move it away: mv {folder} {folder}.old",
        )


def _refuse_to_wait(folder: Path) -> None:
    raise RequestError(
        f"Another process is at work in {folder}.", hint="Wait for it, or name another folder."
    )


def _read_manifest(folder: Path) -> str | None:
    """The plan's id; None: there is no manifest yet."""
    try:
        content: object = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return ""
    return str(content.get("plan")) if isinstance(content, dict) else ""


def _write_manifest(folder: Path, plan_id: str) -> None:
    scratch = folder / (MANIFEST + ".new")
    scratch.write_text(json.dumps({"plan": plan_id}) + "\n", encoding="utf-8")
    scratch.replace(folder / MANIFEST)


def _clear(folder: Path) -> None:
    """The manifest stays to the end, so that a kill leaves a folder that is known as ours."""
    for path in folder.iterdir():
        if path.name not in {MANIFEST, LOCK}:
            path.unlink() if path.is_file() or path.is_symlink() else shutil.rmtree(path)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _sync(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
