"""rnj-agent, run as a user runs it: ``rnj-agent fix`` in the repository, its events on stdout."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.resolve.outcome import Outcome, Server
from benchmarks.resolve.tasks import Task, write_repository

_TEST_TIMEOUT_S: Final = 30
_LINE_BYTES: Final = 64 * 1024**2


class OurAgent:
    """Args: options: of the command line; settings: config keys, such as harness.nudges, and
    their values.
    """

    def __init__(
        self,
        server: Server,
        *,
        name: str = "ours",
        options: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._server = server
        self._options = options
        self._settings = dict(settings or {})

    async def solve(self, task: Task, directory: Path) -> Outcome:
        repository = directory / "repository"
        repository.mkdir()
        write_repository(task, repository)
        (directory / "issue.md").write_text(task.issue, encoding="utf-8")
        started_s = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self._command(task, directory),
            cwd=repository,
            env=self._environment(directory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        try:
            out, err = await process.communicate()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        (directory / "events.jsonl").write_bytes(out)
        (directory / "stderr.txt").write_bytes(err)
        patch = directory / "fix.patch"
        events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
        return Outcome(
            task_id=task.id,
            harness=self.name,
            patch=patch.read_text("utf-8", "surrogateescape") if patch.exists() else "",
            seconds=time.monotonic() - started_s,
            **_counts(events, err.decode(errors="replace")),
        )

    def _command(self, task: Task, directory: Path) -> Sequence[str]:
        server = self._server
        return (
            *(sys.executable, "-m", "rnj_agent.agent.cli", "fix"),
            *("--issue", str(directory / "issue.md"), "--test-cmd", task.test_command),
            *("--test-timeout", str(_TEST_TIMEOUT_S), "--json", "-o", str(directory / "fix.patch")),
            *("--endpoint", server.base_url, "--model", server.model, "--seed", str(server.seed)),
            *(("--image", task.image) if task.image else ()),
            *self._options,
        )

    def _environment(self, directory: Path) -> Mapping[str, str]:
        named = {
            "RNJ_" + key.replace(".", "_").upper(): value for key, value in self._settings.items()
        }
        state = {"RNJ_STATE": str(directory / "state"), "RNJ_API_KEY": self._server.api_key}
        return {**os.environ, **named, **state}


def _counts(events: Sequence[Mapping[str, Any]], errors: str) -> dict[str, Any]:
    """The figures of all runs that the events tell of: attempts are runs of their own."""
    finished = [event for event in events if event.get("kind") == "run_finished"]
    if not finished:
        raise RuntimeError(f"rnj-agent fix did not begin:\n{errors[-2000:]}")
    told = [event for event in events if event.get("kind") == "message_finished"]
    names = ("num_steps", "num_prompt_tokens", "num_cached_tokens", "num_completion_tokens")
    return {
        **{name: sum(event[name] for event in finished) for name in names},
        "ending": finished[-1]["reason"],
        "detail": finished[-1]["detail"],
        "num_format_errors": sum(map(_is_correction, told)),
        "num_loops": sum(event.get("kind") == "started_over" for event in events),
    }


def _is_correction(event: Mapping[str, Any]) -> bool:
    message = event["message"]
    return message["role"] == "user" and message["content"].startswith("Your ")
