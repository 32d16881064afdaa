"""What ``doctor`` says about sandboxes on this machine, without starting one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.docker import check_image
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxUnavailableError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

if TYPE_CHECKING:
    from docker import DockerClient

FIXED_RUNC: Final = {(1, 2): 8, (1, 3): 3}
"""First patch releases without CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881, as is 1.4.

https://github.com/opencontainers/runc/security/advisories/GHSA-9493-h29p-rfm2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    kind: str
    """``docker``, ``docker image``, ``runc`` or ``bubblewrap``."""
    available: bool
    detail: str
    hint: str = ""
    """What to type about it, where something is to be done."""


def probe() -> list[Fact]:
    """Never raises for what a machine lacks: that is what it tells."""
    return [*_docker_facts(), _bubblewrap_fact()]


def _docker_facts() -> list[Fact]:
    try:
        client = connect(timeout_s=10)
    except SandboxUnavailableError as exc:
        return [Fact(kind="docker", available=False, detail=exc.message, hint=exc.hint)]
    try:
        info: dict[str, Any] = client.info()
        rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())
        url: str = client.api.base_url
        place = "a local socket" if url.startswith("http+docker") else url
        detail = f"engine {info.get('ServerVersion', '?')} at {place}"
        engine = Fact(
            kind="docker", available=True, detail=f"{detail}, {'rootless' if rootless else 'root'}"
        )
        return [engine, _image_fact(client), runc_fact(_runc_version(client))]
    finally:
        client.close()


def _image_fact(client: DockerClient) -> Fact:
    try:
        check_image(client, DEFAULT_IMAGE)
    except SandboxUnavailableError as exc:
        return Fact(kind="docker image", available=False, detail=exc.message, hint=exc.hint)
    return Fact(kind="docker image", available=True, detail=DEFAULT_IMAGE)


def _runc_version(client: DockerClient) -> str:
    components: list[dict[str, Any]] = client.version().get("Components") or []
    return next((str(part["Version"]) for part in components if part.get("Name") == "runc"), "")


def runc_fact(version: str) -> Fact:
    """Whether that release is known to let a container out."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if match is None:
        return Fact(kind="runc", available=True, detail="the engine does not name its runtime")
    major, minor, patch = map(int, match.groups())
    fixed = FIXED_RUNC.get((major, minor))
    if (major, minor) >= (1, 4) or (fixed is not None and patch >= fixed):
        return Fact(kind="runc", available=True, detail=version)
    return Fact(
        kind="runc",
        available=False,
        detail=f"{version}: upstream fixed container escapes (CVE-2025-31133, -52565, -52881) in "
        "1.2.8, 1.3.3 and 1.4; a distribution may have patched this one",
        hint="sudo apt-get update && sudo apt-get install --only-upgrade runc",
    )


def _bubblewrap_fact() -> Fact:
    try:
        found = find_bubblewrap()
    except SandboxUnavailableError as exc:
        return Fact(kind="bubblewrap", available=False, detail=exc.message, hint=exc.hint)
    return Fact(kind="bubblewrap", available=True, detail=found.detail)
