"""Remove what runs that died left behind: containers and run directories without a living owner.

Never anything of a living owner, nor of one on another machine.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxError
from rnj_agent.sandbox.labels import MANAGED_LABEL, OWNER_LABEL, is_gone, parse_owner
from rnj_agent.sandbox.run_dirs import sweep_run_dirs

if TYPE_CHECKING:
    from docker import DockerClient

BUDGET_S = 10.0
"""No more containers are removed after this; the next start goes on."""
ENGINE_TIMEOUT_S = 10


def sweep() -> int:
    """Best effort: how many containers and directories were removed."""
    try:
        removed = sweep_run_dirs()
    except (SandboxError, OSError):
        removed = 0  # whoever needs a directory next says what is wrong with it
    try:
        client = connect(timeout_s=ENGINE_TIMEOUT_S)
    except SandboxError:
        return removed  # no engine, no containers
    try:
        return removed + sweep_containers(client)
    finally:
        client.close()


def sweep_containers(client: DockerClient) -> int:
    import requests
    from docker.errors import DockerException

    deadline = time.monotonic() + BUDGET_S
    removed = 0
    try:
        for container_id in _abandoned(client):
            if time.monotonic() > deadline:
                break
            client.api.remove_container(container_id, force=True, v=True)
            removed += 1
    except (DockerException, requests.RequestException):
        pass  # the engine went away, or another start of ours was faster
    return removed


def _abandoned(client: DockerClient) -> list[str]:
    listed = client.api.containers(all=True, filters={"label": f"{MANAGED_LABEL}=1"})
    found: list[str] = []
    for container in listed:
        owner = parse_owner(container["Labels"].get(OWNER_LABEL, ""))
        if owner is not None and is_gone(owner):
            found.append(container["Id"])
    return found
