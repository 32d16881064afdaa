"""Containers that a run left behind: those of a killed runner, and those that an engine's restart
kept us from removing. To be called when none of the run's attempts is under way.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.labels import SESSION_LABEL

if TYPE_CHECKING:
    from docker import DockerClient

_NUM_THREADS: Final = 4
_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.5


def remove_leftovers(run_id: str) -> int:
    """Remove all containers of a run: how many there were.

    Raises:
        SandboxUnavailableError: no engine answers.
    """
    client = connect()
    try:
        found = leftovers(client, run_id)
        deadline = time.monotonic() + _PATIENCE_S
        left = found
        while left and time.monotonic() < deadline:
            with ThreadPoolExecutor(_NUM_THREADS) as pool:
                list(pool.map(partial(_remove, client), left))
            left = leftovers(client, run_id)
            time.sleep(_POLL_S if left else 0)
        return len(found)
    finally:
        client.close()


def leftovers(client: DockerClient, run_id: str) -> list[str]:
    """Ids of the run's containers; none where the engine goes away."""
    import requests
    from docker.errors import DockerException

    try:
        listed = client.api.containers(all=True, filters={"label": SESSION_LABEL})
    except (DockerException, requests.RequestException):
        return []
    return [
        str(each["Id"])
        for each in listed
        if str(each["Labels"].get(SESSION_LABEL, "")).startswith(f"{run_id}/")
    ]


def _remove(client: DockerClient, container_id: str) -> None:
    import requests
    from docker.errors import DockerException

    try:
        client.api.remove_container(container_id, force=True, v=True)
    except (DockerException, requests.RequestException):
        return  # it is going already, or the next look finds it again
