"""One commit of a repository, from a folder of bare clones or from the forge, as a tar file.

Nothing but that commit travels: a repository cut to it (git's shallow clone) keeps the commit's
id, which the data sets' scripts name, and has no other commit that could be read.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from rnj_agent.sandbox.errors import DiskFullError, ImageMissingError
from rnj_agent.sandbox.images.pull import disk_is_full

FORGE: Final = "https://github.com/{repo}.git"
_LAYOUTS: Final = (
    "{owner}__{name}",
    "{owner}__{name}.git",
    "{owner}+{name}/repo",
    "{owner}/{name}.git",
    "{owner}/{name}",
)
_TIMEOUT_S: Final = 3600.0
# The other side of a fetch from this machine: the folder may be anyone's, and any commit may be
# asked for.
_UPLOAD_PACK: Final = "git -c safe.directory=* -c uploadpack.allowAnySHA1InWant=true upload-pack"


def repository_url(repo: str, mirror: Path | None) -> str:
    """Where to fetch from.

    Raises:
        ImageMissingError: the folder of clones has none of this repository.
    """
    if mirror is None:
        return FORGE.format(repo=repo)
    owner, name = repo.split("/")
    for layout in _LAYOUTS:
        folder = mirror / layout.format(owner=owner, name=name)
        if (folder / "HEAD").is_file() or (folder / ".git" / "HEAD").is_file():
            return folder.resolve().as_uri()
    wanted = _LAYOUTS[0].format(owner=owner, name=name)
    raise ImageMissingError(
        f"{mirror} has no clone of {repo}",
        hint=f"git clone --bare {FORGE.format(repo=repo)} {mirror / wanted}",
    )


def pack_commit(url: str, commit: str, target: Path) -> None:
    """Write a tar whose ``.git`` has this commit alone, nothing checked out.

    Raises:
        ImageMissingError: there is no such repository or commit.
        DiskFullError: no room for it here.
    """
    with tempfile.TemporaryDirectory(prefix="rnj-agent-swebench-") as folder:
        _git(folder, "init", "-q", "--template=")
        _git(
            *(folder, "-c", "protocol.file.allow=always", "fetch", "-q", "--no-tags"),
            *("--depth=1", f"--upload-pack={_UPLOAD_PACK}", url, commit),
        )
        _git(folder, "update-ref", "--no-deref", "HEAD", commit)
        (Path(folder) / ".git" / "FETCH_HEAD").unlink()
        with tarfile.open(target, "w") as archive:
            archive.add(Path(folder) / ".git", ".git", filter=_roots)


def _git(folder: str, *arguments: str) -> None:
    try:
        run = subprocess.run(
            ["git", "-C", folder, *arguments],
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ImageMissingError(f"git {arguments[0]} did not end in {_TIMEOUT_S:g} s") from exc
    if run.returncode == 0:
        return
    said = run.stderr.strip()[-500:]
    if disk_is_full(said):
        raise DiskFullError(f"no room for a copy of the repository: {said}", hint="df -h /tmp")
    raise ImageMissingError(f"the repository cannot be fetched: {said}")


def _roots(header: tarfile.TarInfo) -> tarfile.TarInfo:
    header.uid = header.gid = 0
    header.uname = header.gname = "root"
    return header
