"""mini-SWE-agent (2.4.6), the rival: its stock text protocol in a sandbox like ours.

It runs in a virtual environment of its own. What it takes for its Docker container is a sandbox of
ours: the same image, limits, user and lack of a network, removed in the same way, with the same git
repository in it. The patch is what has become of the files, whether it submitted or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.resolve.grade import tar_of
from benchmarks.resolve.mini_trajectory import read_trajectory, tally_of
from benchmarks.resolve.outcome import Outcome, Server
from benchmarks.resolve.tasks import Task
from rnj_agent.agent.fix.baseline import Baseline
from rnj_agent.agent.limits import Limits
from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox, SandboxLimits
from rnj_agent.sandbox.docker import DockerBackend, DockerOptions
from rnj_agent.sandbox.engine import connect, reachable_url
from rnj_agent.sandbox.errors import SandboxError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE
from rnj_agent.sandbox.labels import SESSION_LABEL

CONFIG: Final = "mini_textbased.yaml"
"""The one that it ships for models without native calls."""
_SCRIPT: Final = Path(__file__).with_name("mini_run.py")
_USER: Final = "1000:1000"
_LIMITS: Final = Limits()
_NUM_ATTEMPTS: Final = 3
"""Of a call that fails. Its own ten, up to a minute apart, are for servers far away."""
TRAJECTORY: Final = "trajectory.json"
LOG: Final = "log"
READY: Final = b"ready\n"
"""What the script says before the first step."""
_DOCKER: Final = """#!/bin/sh
# Stands for docker: the container is there already, its commands run as the files' owner, and who
# made it removes it.
case $1 in
run) echo {container} ;;
exec) shift && exec docker exec --user {user} "$@" ;;
esac
"""


class MiniSweAgent:
    """Args: python: of an environment that has mini-SWE-agent; max_steps: model calls."""

    name = "mini"

    def __init__(self, server: Server, *, python: Path, max_steps: int) -> None:
        self._server = server
        self._python = python
        self._max_steps = max_steps

    async def solve(self, task: Task, directory: Path) -> Outcome:
        """Raises: SandboxError: no engine or image; RuntimeError: mini-SWE-agent does not start."""
        session_id = f"mini-{secrets.token_hex(6)}"
        async with _sandbox(task.image or DEFAULT_IMAGE, session_id) as sandbox:
            await sandbox.put_archive(tar_of(task.files))
            baseline = Baseline(sandbox)
            await baseline.create()
            docker = _stand_in_for_docker(directory, await asyncio.to_thread(_find, session_id))
            settings = self._settings(task, directory, docker, sandbox.workdir)
            seconds, problem = await self._run(settings, directory)
            patch = await _read_patch(baseline)
        tally = tally_of(read_trajectory(directory / TRAJECTORY))
        if problem:
            tally = replace(tally, ending=problem)
        return Outcome(
            task_id=task.id, harness=self.name, patch=patch, seconds=seconds, **asdict(tally)
        )

    def _settings(self, task: Task, directory: Path, docker: Path, cwd: str) -> Mapping[str, Any]:
        """What goes over the stock configuration."""
        return {
            "config": CONFIG,
            "task": f"{task.issue.rstrip()}\n\nThe tests are run by: {task.test_command}",
            "agent": {
                "step_limit": self._max_steps,
                "cost_limit": 0,
                "output_path": str(directory / TRAJECTORY),
            },
            "model": {
                "model_name": f"openai/{self._server.model}",
                "cost_tracking": "ignore_errors",
                "model_kwargs": {
                    "api_base": self._server.base_url,
                    "temperature": 0.0,
                    "seed": self._server.seed,
                    "max_tokens": _LIMITS.max_reply_tokens,
                    "timeout": _LIMITS.max_wall_s,
                    "drop_params": True,
                },
            },
            "environment": {
                "image": task.image or DEFAULT_IMAGE,
                "cwd": cwd,
                "timeout": int(_LIMITS.command_timeout_s),
                "executable": str(docker),
            },
        }

    async def _run(self, settings: Mapping[str, Any], directory: Path) -> tuple[float, str]:
        """Seconds without the imports, and why it had to be ended, if it had to be."""
        async with self._started(directory) as (stdin, stdout):
            stdin.write(json.dumps(settings).encode())
            stdin.write_eof()
            async for line in stdout:
                if line == READY:
                    break
            else:
                raise RuntimeError(f"{self._python} does not start: see {directory / LOG}")
            started_s = time.monotonic()
            try:
                async with asyncio.timeout(_LIMITS.max_wall_s):
                    await stdout.read()
            except TimeoutError:
                return time.monotonic() - started_s, "time_limit"
            return time.monotonic() - started_s, ""

    @contextlib.asynccontextmanager
    async def _started(
        self, directory: Path
    ) -> AsyncGenerator[tuple[asyncio.StreamWriter, asyncio.StreamReader]]:
        """The process; when this is left it is gone, and what it started with it."""
        with (directory / LOG).open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(self._python, _SCRIPT),
                env=self._environment(directory),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdin, process.stdout
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def _environment(self, directory: Path) -> Mapping[str, str]:
        return {
            **os.environ,
            "DOCKER_HOST": reachable_url(),
            "OPENAI_API_KEY": self._server.api_key,
            "MSWEA_GLOBAL_CONFIG_DIR": str(directory / "config"),
            "MSWEA_SILENT_STARTUP": "1",
            "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": str(_NUM_ATTEMPTS),
            "NO_PROXY": "*",  # as the other harnesses ask
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }


@contextlib.asynccontextmanager
async def _sandbox(image: str, session_id: str) -> AsyncGenerator[Sandbox]:
    options = DockerOptions(image=image, user=_USER)
    backend = DockerBackend(options, limits=SandboxLimits(), session_id=session_id)
    async with BackendSandbox(backend) as sandbox:
        yield sandbox


def _find(session_id: str) -> str:
    """The id of the sandbox's container."""
    client = connect()
    try:
        (container,) = client.containers.list(filters={"label": f"{SESSION_LABEL}={session_id}"})
        return str(container.id)
    finally:
        client.close()


def _stand_in_for_docker(directory: Path, container: str) -> Path:
    program = directory / "docker"
    program.write_text(_DOCKER.format(container=container, user=_USER), encoding="utf-8")
    program.chmod(0o755)
    return program


async def _read_patch(baseline: Baseline) -> str:
    """Empty where the files are beyond reading."""
    try:
        return await baseline.read_patch()
    except SandboxError:
        return ""
