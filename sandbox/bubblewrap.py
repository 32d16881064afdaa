"""Commands in namespaces made by bubblewrap, without a daemon and without root.

Covered: no network; no file of the host but a read-only system (/usr, its loader's tables,
certificates) and the Python environments named; no host process, variable or socket; no
capability and no way to gain one; bounds on the number of processes, the size of a file and the
data of one process; every command has a pid namespace of its own, whose end ends all in it.
Where this user is root, commands run as a user number that nothing else on the machine has, and
read what is shown to them only where others may.

Not covered: holes in the kernel (there is no syscall filter, and as root commands can still make
user namespaces of their own); the memory of all processes together, CPUs, and the total size of
what is written; before Linux 5.14 the processes of this user outside count too; as root inside a
container that keeps CAP_SYS_ADMIN from it, processes are not counted at all. A command whose
agent is killed in the millisecond while bubblewrap starts runs on until its own time is up.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rnj_agent.sandbox.base import SandboxInfo, SandboxLimits
from rnj_agent.sandbox.bubblewrap_binary import Bubblewrap, find_bubblewrap
from rnj_agent.sandbox.environment import GIT_CONFIG, sandbox_environment
from rnj_agent.sandbox.errors import SandboxLostError, SandboxStartError
from rnj_agent.sandbox.etc import write_etc
from rnj_agent.sandbox.process import LocalProcess, Process
from rnj_agent.sandbox.process_table import kill_with_children
from rnj_agent.sandbox.python_environments import python_environments, search_path
from rnj_agent.sandbox.run_dirs import create_run_dir, remove_run_dir
from rnj_agent.sandbox.shell import ShellSettings

WORKDIR = "/workspace"
HOME = "/home/agent"
STATE_DIR = "/var/rnj"
PRIVATE = {"workspace": WORKDIR, "home": HOME, "state": STATE_DIR, "tmp": "/tmp"}
"""Directories of the run directory, and where they are in the sandbox."""
_FIRST_USER = 1_900_000_000
_NUM_USERS = 100_000_000
"""User numbers for root's sandboxes: above every range that distributions hand out."""
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class BubblewrapBackend:
    """Implements ``Backend``."""

    def __init__(
        self,
        *,
        limits: SandboxLimits,
        network: bool = False,
        extra_read_only: Sequence[Path] = (),
    ) -> None:
        self._limits = limits
        self._network = network
        self._environments = python_environments()
        self._read_only = [*self._environments, *extra_read_only]
        self._bubblewrap: Bubblewrap | None = None
        self._run_dir: Path | None = None
        self._prefix: list[str] = []

    @property
    def info(self) -> SandboxInfo:
        detail = self._bubblewrap.detail if self._bubblewrap is not None else ""
        return SandboxInfo(kind="bubblewrap", network=self._network, detail=detail)

    @property
    def settings(self) -> ShellSettings:
        return ShellSettings(
            workdir=WORKDIR, state_dir=STATE_DIR, output_bytes=self._limits.output_bytes
        )

    def open(self) -> None:
        self._bubblewrap = find_bubblewrap()
        self._run_dir = create_run_dir()
        user = _FIRST_USER + secrets.randbelow(_NUM_USERS) if self._bubblewrap.as_root else None
        try:
            _fill(self._run_dir, os.geteuid() if user is None else user, network=self._network)
        except OSError as exc:
            raise SandboxStartError(
                f"cannot make the sandbox's files in {self._run_dir}: {exc}",
                hint="export TMPDIR=/path/with/room",
            ) from exc
        self._prefix = self._command_line(self._bubblewrap, self._run_dir, user)

    def close(self) -> None:
        if self._run_dir is not None:
            remove_run_dir(self._run_dir)
            self._run_dir = None

    async def spawn(self, argv: Sequence[str], pool: ThreadPoolExecutor) -> Process:
        try:
            return LocalProcess([*self._prefix, *argv], env={}, kill=kill_with_children)
        except OSError as exc:
            raise SandboxLostError(f"cannot start bubblewrap: {exc}") from exc

    def _command_line(self, bubblewrap: Bubblewrap, run_dir: Path, user: int | None) -> list[str]:
        private = [("--bind", str(run_dir / name), inside) for name, inside in PRIVATE.items()]
        shown = [Path("/nix/store"), *self._read_only]
        read_only = [
            ("--ro-bind-try", str(path), str(path))
            for path in shown
            if path.exists() and not path.is_relative_to("/usr")
        ]
        shm_bytes = str(self._limits.memory_bytes // 2)
        return [
            *bubblewrap.isolation(network=self._network),
            *_system_folders(),
            *("--ro-bind", str(run_dir / "etc"), "/etc"),
            *_mounts(private),  # before the rest: an environment may lie in /tmp or in a home
            *_mounts(read_only),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--perms", "1777", "--size", shm_bytes, "--tmpfs", "/dev/shm"),
            *("--remount-ro", "/", "--chdir", "/"),
            *self._variables(),
            "--",
            *bubblewrap.step_down(user),
            *self._bounds(),
        ]

    def _bounds(self) -> list[str]:
        """Set inside, where the number of processes is this sandbox's own to count."""
        limits = self._limits
        return [
            "prlimit",
            f"--nproc={limits.num_pids}",
            f"--fsize={limits.disk_bytes}",
            f"--data={limits.memory_bytes}",
            "--nofile=4096",
            "--core=0",
        ]

    def _variables(self) -> list[str]:
        variables = sandbox_environment(HOME)
        variables["PATH"] = search_path(self._environments)
        if active := os.environ.get("VIRTUAL_ENV"):
            variables["VIRTUAL_ENV"] = active
        pairs = (("--setenv", name, value) for name, value in variables.items())
        return ["--clearenv", *(word for pair in pairs for word in pair)]


def _fill(run_dir: Path, user: int, *, network: bool) -> None:
    for name in PRIVATE:
        (run_dir / name).mkdir()
    (run_dir / "home" / ".gitconfig").write_text(GIT_CONFIG)
    write_etc(run_dir / "etc", user=user, home=HOME, network=network)
    if os.geteuid() == 0:
        for path in [*(run_dir / name for name in PRIVATE), run_dir / "home" / ".gitconfig"]:
            shutil.chown(path, user, user)


def _system_folders() -> list[str]:
    """/usr, and the folders beside it: links on merged systems, else folders of their own."""
    words = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            words += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            words += ["--ro-bind", str(path), str(path)]
    return words


def _mounts(mounts: Sequence[tuple[str, str, str]]) -> list[str]:
    """Mounts, after the folders above them: bubblewrap would close those to other users."""
    parents = {str(parent) for _, _, inside in mounts for parent in Path(inside).parents}
    return [
        *(word for path in sorted(parents - {"/"}) for word in ("--dir", path)),
        *(word for mount in mounts for word in mount),
    ]
