"""The official harness as a process: importing it takes seconds and reads ``.env`` files.

Nothing of it is left when it ends, or is ended: no process and no container.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.evaluation import harness_child
from rnj_agent.agent.swebench.evaluation.statuses import HARNESS_HINT
from rnj_agent.sandbox.engine import connect, reachable_url

HARNESS_LOG: Final = "harness.log"
DATASET: Final = "dataset.json"
PREDICTIONS: Final = "predictions.json"
_MAJOR: Final = "5"
_NUM_FILES: Final = 4096
_GRACE_S: Final = 10.0


def check_harness() -> None:
    """Raises: UsageError: the harness, or what it calls, is not here."""
    try:
        found = version("swebench")
    except PackageNotFoundError as exc:
        raise UsageError("--judge official needs the swebench package", hint=HARNESS_HINT) from exc
    if found.split(".", 1)[0] != _MAJOR:
        raise UsageError(
            f"--judge official needs swebench {_MAJOR}, and {found} is installed",
            hint=HARNESS_HINT,
        )
    if shutil.which("docker") is None:
        raise UsageError(
            "--judge official needs the docker command, with which the harness ends its containers",
            hint="sudo apt-get install -y docker-cli",
        )


@asynccontextmanager
async def run_harness(
    directory: Path, run_id: str, *, num_workers: int, timeout_s: int
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Start it on the data set and the predictions that lie in ``directory``, its work directory.

    Raises:
        SandboxUnavailableError: no engine answers.
    """
    url = await asyncio.to_thread(reachable_url)
    await asyncio.to_thread(_remove_containers, run_id)
    with (directory / HARNESS_LOG).open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", harness_child.__name__, str(os.getpid())),
            *("--dataset_name", DATASET, "--predictions_path", PREDICTIONS),
            *("--run_id", run_id, "--max_workers", str(num_workers)),
            *("--timeout", str(timeout_s), "--open_file_limit", str(_open_file_limit())),
            cwd=directory,
            env=os.environ | {"DOCKER_HOST": url},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _end(process)
        await asyncio.to_thread(_remove_containers, run_id)


def _open_file_limit() -> int:
    """The harness sets it, and fails where that is more than it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _NUM_FILES if hard == resource.RLIM_INFINITY else min(_NUM_FILES, hard)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _remove_containers(run_id: str) -> None:
    """What a harness that was killed left, or one that failed to remove them."""
    from docker.errors import NotFound

    client = connect()
    try:
        for container in client.api.containers(all=True, filters={"name": run_id}):
            with suppress(NotFound):
                client.api.remove_container(container["Id"], force=True, v=True)
    finally:
        client.close()
