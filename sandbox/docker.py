"""Commands in a container of a Docker engine, with as little as they need.

Covered: no network; no file, variable, process or socket of the host; no root, no capability, no
way to gain one (no-new-privileges), the engine's default seccomp filter; a read-only root file
system; bounds on memory (no swap), processes, CPUs, the size of a file and of /tmp; an end after
some hours, whoever forgets the container; nothing of it left once the sandbox is closed.

Not covered: holes in the kernel and in runc; the total size of what is written to the volumes
(workdir, home and state), since most storage drivers cannot bound it; a process that sleeps in
the kernel and cannot be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from rnj_agent.sandbox.attendant import Attendant
from rnj_agent.sandbox.base import SandboxInfo, SandboxLimits
from rnj_agent.sandbox.docker_exec import engine_errors
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.environment import GIT_CONFIG, sandbox_environment
from rnj_agent.sandbox.errors import ImageMissingError, SandboxLostError, SandboxStartError
from rnj_agent.sandbox.labels import MANAGED_LABEL, OWNER_LABEL, SESSION_LABEL, current_owner
from rnj_agent.sandbox.process import Process
from rnj_agent.sandbox.shell import ShellSettings

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LIFETIME_S = 6 * 3600
STATE_DIR = "/var/rnj"
KEEPER_USER = "65534:65534"
"""Runs the container's own process, so that the command user can never kill it."""
_IMAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
_PREPARE = """
for tool in timeout head tar readlink; do command -v "$tool" >/dev/null || exit; done
[[ -e ~/.gitconfig ]] || printf %s "$1" 2>/dev/null >~/.gitconfig
[[ -s /etc/hosts ]] || printf %s "$2" 2>/dev/null >/etc/hosts
:
"""
_HOSTNAME = "sandbox"
_HOSTS = f"""\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
127.0.1.1\t{_HOSTNAME}
"""
_TMP_OPTIONS = "rw,nosuid,nodev,exec,mode=1777"


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerOptions:
    """How the container differs from one for a user's own repository."""

    image: str
    workdir: str = "/workspace"
    user: str = ""
    """``uid:gid`` of the commands; empty: this user's, or 1000:1000 if that is root."""
    home: str = "/home/agent"
    read_only_root: bool = True
    """False for images whose own files the commands must change; their workdir is then kept."""
    environment: Mapping[str, str] | None = None
    """Of the commands, over the image's own; None: what ``sandbox_environment`` says."""


class DockerBackend:
    """Implements ``Backend``."""

    def __init__(
        self,
        options: DockerOptions,
        *,
        limits: SandboxLimits,
        network: bool = False,
        session_id: str = "",
    ) -> None:
        self._options = options
        self._limits = limits
        self._network = network
        self._session_id = session_id
        self._user = options.user or _default_user()
        self._client: DockerClient | None = None
        self._container: Container | None = None
        self._attendant: Attendant | None = None
        self._engine = ""

    @property
    def info(self) -> SandboxInfo:
        detail = f"{self._options.image}, Docker {self._engine}" if self._engine else ""
        return SandboxInfo(kind="docker", network=self._network, detail=detail)

    @property
    def settings(self) -> ShellSettings:
        return ShellSettings(
            workdir=self._options.workdir,
            state_dir=STATE_DIR,
            output_bytes=self._limits.output_bytes,
            owns_user=True,
        )

    def open(self) -> None:
        import requests
        from docker.errors import APIError, ImageNotFound

        client = self._client = connect()
        try:
            self._engine = str(client.version()["Version"])
            check_image(client, self._options.image)
            self._container = client.containers.create(**self._creation())
            self._container.start()
            self._prepare(self._container)
        except ImageNotFound as exc:
            raise missing_image(self._options.image) from exc
        except APIError as exc:
            raise SandboxStartError(
                f"the container did not start: {exc.explanation or exc}", hint="docker info"
            ) from exc
        except requests.RequestException as exc:
            raise SandboxLostError(f"the Docker engine has gone: {exc}") from exc

    def close(self) -> None:
        from docker.errors import NotFound

        container, self._container = self._container, None
        client, self._client = self._client, None
        if self._attendant is not None:
            self._attendant.close()
        try:
            if container is not None:
                with engine_errors(), contextlib.suppress(NotFound):
                    container.remove(force=True, v=True)
        finally:
            if client is not None:
                client.close()

    async def spawn(self, argv: Sequence[str], pool: ThreadPoolExecutor) -> Process:
        return await asyncio.get_running_loop().run_in_executor(pool, self._start, argv)

    def _start(self, argv: Sequence[str]) -> Process:
        assert self._container is not None
        if self._attendant is not None and self._attendant.is_idle:
            with contextlib.suppress(OSError):  # something killed it since
                return self._attendant.start(argv)
        if self._attendant is not None:
            self._attendant.close()
        self._attendant = None
        with engine_errors():
            self._attendant = Attendant(self._container, self._user)
            return self._attendant.start(argv)

    @property
    def _is_root(self) -> bool:
        return self._user.startswith("0:")

    @property
    def _may_write_hosts(self) -> bool:
        return self._is_root and not self._options.read_only_root

    def _creation(self) -> dict[str, Any]:
        from docker.types import LogConfig, Ulimit

        limits = self._limits
        tmp_bytes = min(limits.disk_bytes, limits.memory_bytes // 2)  # it counts as memory
        return {
            "image": self._options.image,
            "name": f"rnj-{secrets.token_hex(6)}",
            "entrypoint": ["sleep"],
            "command": [str(LIFETIME_S)],
            "user": KEEPER_USER,
            "hostname": _HOSTNAME,
            "working_dir": "/",
            "environment": self._environment(),
            "labels": self._labels(),
            "init": True,
            "auto_remove": True,
            "network_mode": "bridge" if self._network else "none",
            # Half of a start is the engine's work on a network, "none" included. Without it there
            # still is a namespace with its loopback device, but names are ours to provide.
            "network_disabled": not self._network and self._may_write_hosts,
            "ipc_mode": "private",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "read_only": self._options.read_only_root,
            "tmpfs": {"/tmp": f"{_TMP_OPTIONS},size={tmp_bytes}"},
            "volumes": self._volumes(),
            "mem_limit": limits.memory_bytes,
            "memswap_limit": limits.memory_bytes,
            "pids_limit": limits.num_pids,
            "nano_cpus": None if limits.num_cpus is None else int(limits.num_cpus * 1e9),
            "ulimits": [
                Ulimit(name="nofile", soft=4096, hard=4096),
                Ulimit(name="core", soft=0, hard=0),
                Ulimit(name="fsize", soft=limits.disk_bytes, hard=limits.disk_bytes),
            ],
            "log_config": LogConfig(type="none"),
        }

    def _environment(self) -> dict[str, str]:
        if self._options.environment is None:
            return sandbox_environment(self._options.home)
        return {"HOME": self._options.home, **self._options.environment}

    def _volumes(self) -> list[str]:
        if not self._options.read_only_root:
            return [STATE_DIR]
        return [STATE_DIR, self._options.workdir, self._options.home]

    def _labels(self) -> dict[str, str]:
        return {
            MANAGED_LABEL: "1",
            OWNER_LABEL: current_owner().to_json(),
            SESSION_LABEL: self._session_id,
        }

    def _prepare(self, container: Container) -> None:
        """Volumes belong to root: open them to the command user, which needs no capability."""
        needs = f"the image {self._options.image} lacks bash, coreutils or tar"
        if not self._is_root:
            run = container.exec_run(["chmod", "1777", *self._volumes()], user="0:0")
            if run.exit_code != 0:
                output = cast("bytes", run.output).decode("utf-8", "replace").strip()
                raise SandboxStartError(f"{needs}: {output}")
        try:
            preparing = self._start(["bash", "-c", _PREPARE, "bash", GIT_CONFIG, _HOSTS])
        except SandboxStartError as exc:
            raise SandboxStartError(f"{needs}: {exc.message}") from exc
        preparing.close_stdin()
        while preparing.read() is not None:
            pass
        preparing.close()
        if preparing.wait() != 0:
            raise SandboxStartError(needs)


def check_image(client: DockerClient, name: str) -> None:
    """Raises ImageMissingError where the engine does not have it."""
    from docker.errors import APIError, ImageNotFound

    if not _IMAGE_NAME.fullmatch(name) or ".." in name:
        raise ImageMissingError(f"not an image name: {name!r}", hint="rnj-agent sandbox list")
    try:
        client.images.get(name)
    except ImageNotFound as exc:
        raise missing_image(name) from exc
    except APIError as exc:
        raise ImageMissingError(
            f"the engine refuses the image name {name!r}: {exc.explanation or exc}",
            hint="rnj-agent sandbox list",
        ) from exc


def missing_image(name: str) -> ImageMissingError:
    from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

    hint = "rnj-agent sandbox build" if name == DEFAULT_IMAGE else f"docker pull {name}"
    return ImageMissingError(f"the Docker engine has no image {name}", hint=hint)


def _default_user() -> str:
    return f"{os.geteuid()}:{os.getegid()}" if os.geteuid() != 0 else "1000:1000"
