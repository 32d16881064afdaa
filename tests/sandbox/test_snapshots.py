"""States of the copy: exactly what was there comes back, whatever a command did."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.sandbox.snapshots import MAX_FILE_BYTES, Snapshots
from tests.sandbox.conftest import make_backend

LIST = r"find . -mindepth 1 -printf '%P\t%y\t%m\t%l\n' | sort; "
SHOW = LIST + "find . -type f -readable ! -path '*/.git/index' -exec sha256sum {} + | sort"
FILL = r"""
git init -q . && printf 'a\n' > plain.py && git add . && git commit -qm one
mkdir -p sub/deep empty '.hidden dir' && printf '*.log\n' > .gitignore && echo l > ignored.log
echo x > run.sh && chmod 755 run.sh && echo s > secret && chmod 600 secret
ln -s plain.py link && ln -s /nowhere dangling && echo d > sub/deep/file
printf 'n' > $'new\nline' && printf 'q' > "quote'\"\\ back"
printf 'b' > $'bytes\xff' && : > -dash
printf '* filter=evil text eol=crlf\n' > .gitattributes && printf 'a\r\nb\n' > crlf.txt
git init -q nested && echo n > nested/file && git -C nested add . && git -C nested commit -qm n
mkdir private && echo p > private/file && chmod 700 private && mkdir shut && echo s > shut/file
chmod 000 shut && echo u > unreadable && chmod 000 unreadable
"""
WRECK = r"""
chmod -R u+rwX . ; rm -rf sub nested .git plain.py link empty '.hidden dir' private secret shut
mkdir plain.py link && echo other > plain.py/file && echo now > sub && echo z > new.txt
chmod 644 run.sh && echo more >> ignored.log && mkfifo pipe && mkdir -p made/deep/er
mv $'new\nline' $'other\nline' && git init -q . && printf 'x' > unreadable
"""


async def show(sandbox: Sandbox, script: str = SHOW) -> str:
    result = await sandbox.execute(script, cwd=sandbox.workdir)
    return result.output


async def run(sandbox: Sandbox, script: str) -> None:
    result = await sandbox.execute(script, cwd=sandbox.workdir)
    assert result.exit_code == 0, result.output


@pytest.fixture
async def snapshots(sandbox: Sandbox) -> Snapshots:
    await run(sandbox, FILL)
    snapshots = Snapshots(sandbox)
    await snapshots.create()
    return snapshots


async def test_everything_comes_back_as_it_was(sandbox: Sandbox, snapshots: Snapshots):
    before = await show(sandbox)
    first = await snapshots.take()
    assert await show(sandbox) == before, "taking a state changes nothing"
    await run(sandbox, WRECK)
    wrecked = await show(sandbox)
    assert await snapshots.restore(first.id) == ()
    assert await show(sandbox) == before
    again = await snapshots.take()
    assert (again.id, again.changed) == (first.id, False)

    await run(sandbox, f"git status --short && git -C nested log\n{WRECK}")
    third = await snapshots.take()
    await snapshots.restore(first.id)
    await snapshots.restore(third.id)
    kept = [line for line in wrecked.splitlines() if ".git/" not in line and line[:4] != "pipe"]
    now = await show(sandbox)
    assert [line for line in now.splitlines() if ".git/" not in line] == kept


async def test_what_changed_is_told_without_junk(sandbox: Sandbox):
    await run(sandbox, "printf 'a\\n' > a.py")
    snapshots = Snapshots(sandbox)
    await snapshots.create()
    await snapshots.take()
    await run(sandbox, "printf 'b\\n' >> a.py; mkdir __pycache__; echo x > __pycache__/a.pyc")
    changed = await snapshots.take()
    assert changed.num_files == 1
    assert changed.patch.splitlines()[-3:] == ["@@ -1 +1,2 @@", " a", "+b"]
    await run(sandbox, "echo y > __pycache__/a.pyc")
    junk = await snapshots.take()
    assert (junk.changed, junk.num_files, junk.patch) == (True, 0, "")


async def test_large_files_are_left_alone_and_named(sandbox: Sandbox):
    snapshots = Snapshots(sandbox)
    await snapshots.create()
    await run(sandbox, f"truncate -s {MAX_FILE_BYTES + 1} $'large\\none' stays; echo a > small")
    before = await snapshots.take()
    assert before.num_large == 2
    await run(sandbox, f"rm large*; truncate -s {MAX_FILE_BYTES + 2} new; rm small")
    assert await snapshots.restore(before.id) == ("large\none",)
    assert (await show(sandbox, "ls")).split() == ["small", "stays"]


async def test_states_travel_to_another_sandbox(
    sandbox: Sandbox, snapshots: Snapshots, kind: str, tmp_path: Path
):
    before = await show(sandbox)
    first = await snapshots.take()
    await run(sandbox, "echo more >> crlf.txt; rm link")
    second = await snapshots.take()
    packs = [await snapshots.export(first.id), await snapshots.export(second.id, first.id)]
    sizes = [len(pack or b"") for pack in packs]
    assert 0 < sizes[1] < sizes[0] / 3
    files = [tmp_path / "first", tmp_path / "second"]
    for file, pack in zip(files, packs, strict=True):
        file.write_bytes(pack or b"")
    async with BackendSandbox(make_backend(kind)) as other:
        moved = Snapshots(other)
        await moved.create()
        await moved.load(files)
        await moved.restore(second.id)
        await moved.restore(first.id)
        assert await show(other) == before


async def test_a_state_that_is_not_there_is_an_error(sandbox: Sandbox):
    snapshots = Snapshots(sandbox)
    await snapshots.create()
    with pytest.raises(SandboxFileError, match="cannot be kept or restored"):
        await snapshots.restore("0" * 40)
