"""Containers that a run left behind: those of a killed runner, and those that an engine's restart
kept us from removing. To be called when none of the run's attempts is under way.
"""

from __future__ import annotations

import math
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


def remove_leftovers(
    run_id: str, *, spared: frozenset[str] = frozenset(), before_s: float = math.inf
) -> int:
    """Remove the containers of a run: how many there were.

    Args:
        run_id: whose.
        spared: sessions that are under way, and keep theirs.
        before_s: Unix time; what was made since stays, too.

    Raises:
        SandboxUnavailableError: no engine answers.
    """
    client = connect()
    try:
        found = leftovers(client, run_id, spared, before_s)
        deadline = time.monotonic() + _PATIENCE_S
        left = found
        while left and time.monotonic() < deadline:
            with ThreadPoolExecutor(_NUM_THREADS) as pool:
                list(pool.map(partial(_remove, client), left))
            left = leftovers(client, run_id, spared, before_s)
            time.sleep(_POLL_S if left else 0)
        return len(found)
    finally:
        client.close()


def leftovers(
    client: DockerClient,
    run_id: str,
    spared: frozenset[str] = frozenset(),
    before_s: float = math.inf,
) -> list[str]:
    """Ids of the run's containers; none where the engine goes away."""
    import requests
    from docker.errors import DockerException

    try:
        listed = client.api.containers(all=True, filters={"label": SESSION_LABEL})
    except (DockerException, requests.RequestException):
        return []
    sessions = {
        str(each["Id"]): str(each["Labels"].get(SESSION_LABEL, ""))
        for each in listed
        if int(each["Created"]) < before_s - 1  # it is told in whole seconds
    }
    return [
        container_id
        for container_id, session in sessions.items()
        if session.startswith(f"{run_id}/") and session not in spared
    ]


def _remove(client: DockerClient, container_id: str) -> None:
    import requests
    from docker.errors import DockerException

    try:
        client.api.remove_container(container_id, force=True, v=True)
    except (DockerException, requests.RequestException):
        return  # it is going already, or the next look finds it again
