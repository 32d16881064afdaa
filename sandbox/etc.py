"""The /etc that bubblewrap commands see: written for them, with the few parts of the host's needed.

Copied once into the run directory, since each mount would cost time at every command. Nothing
else of the host's /etc is there: much of it is the machine's own business.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

_NEEDED = (
    "alternatives",
    "ca-certificates",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
)
_NEEDED_BY_INTERPRETERS = ("python3*", "java-*")


def write_etc(folder: Path, *, user: int, home: str, network: bool) -> None:
    """Make ``folder`` an /etc with one user in it.

    Args:
        folder: does not exist yet.
        user: the number of the command user and of its group.
        home: its home in the sandbox.
        network: whether names are to be resolved as on the host.

    Raises:
        OSError: no room.
    """
    folder.mkdir()
    host = Path("/etc")
    found = [path for pattern in _NEEDED_BY_INTERPRETERS for path in host.glob(pattern)]
    for path in [*(host / name for name in _NEEDED), *found]:
        _copy(path, folder / path.relative_to(host))
    if network:
        _copy(host / "resolv.conf", folder / "resolv.conf")
    (folder / "passwd").write_text(f"agent:x:{user}:{user}:agent:{home}:/bin/bash\n")
    (folder / "group").write_text(f"agent:x:{user}:\n")
    (folder / "hosts").write_text("127.0.0.1 localhost sandbox\n::1 localhost\n")
    (folder / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)  # whatever the umask is


def _copy(source: Path, target: Path) -> None:
    """Copy what is there and may be read; links stay links where they lead into /usr or here."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError, PermissionError, shutil.Error):
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore_dangling_symlinks=True)
        elif source.name == "resolv.conf":
            shutil.copyfile(source, target)  # often a link into /run, which is not there
        else:
            shutil.copyfile(source, target, follow_symlinks=False)
