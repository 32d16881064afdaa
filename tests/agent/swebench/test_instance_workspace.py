"""An instance's repository in its sandbox: no history is left, and the patch fits its commit."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from rnj_agent.agent.config import Config, SandboxSettings
from rnj_agent.agent.events import Event
from rnj_agent.agent.fix.patch import parse_patch
from rnj_agent.agent.swebench.instance_sandbox import WORKDIR, open_instance_sandbox
from rnj_agent.agent.swebench.instance_workspace import InstanceWorkspace
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.docker import check_image
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxError, SandboxFileError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

pytestmark = pytest.mark.docker
FIX = "the fix that nobody may read"
PICTURE = bytes(range(256)) * 40


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    run = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """At its base commit, with a future in branches, tags, stashes, packs and a remote's refs."""
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    (library / "lib.py").write_text("LIB = 1\n")
    git(library, "add", "-A")
    git(library, "commit", "-q", "-m", "library")

    root = tmp_path / "testbed"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "code.py").write_text("x = 1\n")
    (root / "old name.py").write_text("".join(f"line {n}\n" for n in range(20)))
    (root / "picture.bin").write_bytes(PICTURE)
    (root / "gone.py").write_text("")
    (root / "made").mkdir()
    (root / "made" / "tracked.so").write_bytes(b"\0tracked, and ignored")
    (root / ".gitignore").write_text("made/\n*.log\n")
    git(root, "submodule", "add", "-q", str(library), "vendored")
    git(root, "add", "-A")
    git(root, "add", "-f", "made/tracked.so")
    git(root, "commit", "-q", "-m", "base")
    git(root, "tag", "base")
    (root / "code.py").write_text(f"x = 2  # {FIX}\n")
    git(root, "commit", "-q", "-am", FIX)
    git(root, "tag", "-a", "fixed", "-m", FIX)
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(root, "remote", "add", "origin", "https://forge.invalid/tiny/calc")
    git(root, "gc", "-q")
    (root / "code.py").write_text(f"x = 3  # {FIX}\n")
    git(root, "stash")
    git(root, "reset", "-q", "--hard", "base")
    (root / "made" / "library.so").write_bytes(b"\0" * 4096)
    (root / "testbed.egg-info").mkdir()
    (root / "testbed.egg-info" / "PKG-INFO").write_text("built into the image\n")
    (root / "left over.txt").write_text("untracked in the image\n")
    return root


@pytest.fixture
async def sandbox(repository: Path) -> AsyncGenerator[Sandbox]:
    """As from an image that has the repository."""
    try:
        client = connect()
        check_image(client, DEFAULT_IMAGE)
        client.close()
    except SandboxError as exc:
        pytest.skip(f"{exc.message}; do: {exc.hint}")
    config = Config(sandbox=SandboxSettings(num_pids=200, memory_gib=0.5))
    async with open_instance_sandbox(config, DEFAULT_IMAGE) as sandbox:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(repository, ".", filter=_roots)
        archive.seek(0)
        await sandbox.execute(f"mkdir {WORKDIR}", cwd="/")
        await sandbox.put_archive(archive)
        yield sandbox


def _roots(header: tarfile.TarInfo) -> tarfile.TarInfo:
    header.uid = header.gid = 0
    return header


async def said(sandbox: Sandbox, command: str) -> str:
    return (await sandbox.execute(command, cwd=WORKDIR)).output.strip()


def ignored(event: Event) -> None:
    """Nothing is announced here."""


async def test_one_commit_is_all_that_git_knows(sandbox: Sandbox) -> None:
    assert FIX in await said(sandbox, "git log --all --oneline")
    await InstanceWorkspace(sandbox=sandbox).prepare(date="2019-08-13T04:36:01+00:00")
    log = await said(sandbox, "git log --all --reflog --format='%s %as'")
    assert log == "The files as they were copied 2019-08-13"
    assert await said(sandbox, "git status --porcelain") == ""
    assert await said(sandbox, "git remote; git tag; git stash list; git branch -r") == ""
    assert await said(sandbox, "git fsck --lost-found --no-progress") == ""
    objects = "git cat-file --batch-all-objects --batch-check='%(objecttype)' | sort | uniq -c"
    assert (await said(sandbox, objects)).split()[2:4] == ["1", "commit"]
    assert await said(sandbox, f"git grep '{FIX}' $(git rev-list --all)") == ""
    assert await said(sandbox, f"grep -rl '{FIX}' /testbed /var/rnj") == ""
    assert await said(sandbox, "find / -xdev -name '*.pack' -path '*.git*'") == ""


async def test_a_patch_of_everything_fits_the_base_commit(
    sandbox: Sandbox, repository: Path, tmp_path: Path
) -> None:
    workspace = InstanceWorkspace(sandbox=sandbox)
    await workspace.prepare()
    assert await workspace.collect() == ""
    assert not (await workspace.review(ignored)).accepted
    await said(
        sandbox,
        "echo 'x = 4' > code.py; git mv 'old name.py' new.py; rm gone.py; mkdir pkg; "
        "printf 'no line end' > pkg/new.py; chmod +x new.py; printf '\\0\\1' >> picture.bin; "
        "printf '\\0changed' > made/tracked.so; ln -s code.py link; git commit -qam mine",
    )
    assert (await workspace.review(ignored)).accepted
    patch = await workspace.collect()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-b", "base", str(repository), str(clone))
    (tmp_path / "patch").write_text(patch)
    git(clone, "apply", str(tmp_path / "patch"))
    assert (clone / "code.py").read_text() == "x = 4\n"
    assert (clone / "pkg" / "new.py").read_text() == "no line end"
    assert (clone / "picture.bin").read_bytes() == PICTURE + b"\0\1"
    assert (clone / "made" / "tracked.so").read_bytes() == b"\0changed"
    assert (clone / "link").is_symlink()
    assert (clone / "new.py").stat().st_mode & 0o100
    assert not (clone / "gone.py").exists()
    assert not (clone / "old name.py").exists()


async def test_what_the_commit_does_not_track_is_no_part_of_a_patch(sandbox: Sandbox) -> None:
    workspace = InstanceWorkspace(sandbox=sandbox)
    await workspace.prepare()
    await said(
        sandbox,
        "echo changed | tee made/library.so 'left over.txt' testbed.egg-info/PKG-INFO run.log "
        "vendored/lib.py vendored/more.py patch.txt made/new.so; mkdir __pycache__; "
        "echo > __pycache__/code.pyc; mkdir inner; git init -q inner; echo > inner/file",
    )
    assert await workspace.collect() == ""
    await said(sandbox, "echo 'x = 4' > code.py; echo > 'left over 2.txt'")
    files = parse_patch(await workspace.collect())
    assert [file.path for file in files] == ["code.py", "left over 2.txt"]


async def test_a_run_that_begins_anew_keeps_what_it_gave_up(sandbox: Sandbox) -> None:
    workspace = InstanceWorkspace(sandbox=sandbox)
    await workspace.prepare()
    assert await workspace.start_over(ignored) == ""
    await said(sandbox, "echo 'x = 4' > code.py; echo > new.py; git add -A; echo changed > run.log")
    told = await workspace.start_over(ignored)
    assert told.splitlines()[:3] == ["In code.py, new.py:", "-x = 1", "+x = 4"]
    assert await said(sandbox, "cat code.py; ls new.py 2>&1; cat made/library.so | wc -c") == (
        "x = 1\nls: cannot access 'new.py': No such file or directory\n4096"
    )
    assert not (await workspace.review(ignored)).accepted
    assert "+x = 4" in await workspace.collect()
    await said(sandbox, "echo 'x = 5' > code.py")
    assert "+x = 5" in await workspace.collect()
    await workspace.start_over(ignored)
    assert await workspace.start_over(ignored) == ""
    files = parse_patch(await workspace.collect())
    assert [file.path for file in files] == ["code.py"]


async def test_commands_are_root_s_in_a_network_of_nothing(sandbox: Sandbox) -> None:
    facts = await said(sandbox, "echo $(id -u) $HOME; cat /proc/net/route | wc -l; touch /etc/x")
    assert facts == "0 /root\n1"
    assert await said(sandbox, "grep CapEff /proc/self/status") == "CapEff:\t0000000000000000"
    assert await said(sandbox, "echo $PYTHONDONTWRITEBYTECODE") == ""
    assert await said(sandbox, "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max") != ""


async def test_an_image_without_a_repository_says_so(sandbox: Sandbox) -> None:
    await said(sandbox, "rm -rf .git")
    with pytest.raises(SandboxFileError, match="no git repository"):
        await InstanceWorkspace(sandbox=sandbox).prepare()
