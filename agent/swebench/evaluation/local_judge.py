"""Our own judge: each prediction in a fresh sandbox of its instance's image, the network closed.

Covered: what the official harness does between container and verdict (apply, test script, parser,
grading), with our sandbox's bounds. Not covered: assets beside the test patch, as multimodal rows
have them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rnj_agent.agent.config import Config
from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.swebench.evaluation.apply import apply_patch
from rnj_agent.agent.swebench.evaluation.case import Case, OnVerdict
from rnj_agent.agent.swebench.evaluation.for_each import for_each
from rnj_agent.agent.swebench.evaluation.grading import verdict
from rnj_agent.agent.swebench.evaluation.script import script_of, with_exit_code
from rnj_agent.agent.swebench.evaluation.script_log import read_log
from rnj_agent.agent.swebench.evaluation.statuses import parser_name, read_statuses
from rnj_agent.agent.swebench.images.source import ImageSource, Say
from rnj_agent.agent.swebench.instance_sandbox import open_instance_sandbox
from rnj_agent.agent.swebench.results import Evaluation
from rnj_agent.agent.swebench.run_dir import write_whole
from rnj_agent.sandbox.base import ExecResult, Sandbox
from rnj_agent.sandbox.errors import SandboxError
from rnj_agent.sandbox.sweep import sweep

TEST_LOG: Final = "test_output.txt"
_OFFLINE: Final = {"PIP_NO_INDEX": "1"}
"""Scripts install the repository again: without a network pip would try for a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalJudge:
    """Implements ``Judge``."""

    config: Config
    images: ImageSource
    say: Say
    logs: Path
    """Where the tests' output is kept, a folder for each instance."""
    num_workers: int
    timeout_s: float
    """Of the test script."""

    async def judge(self, cases: Sequence[Case], on_verdict: OnVerdict) -> None:
        await asyncio.to_thread(sweep)  # what a killed evaluation has left

        async def judge_one(case: Case) -> None:
            on_verdict(await self._judge_case(case))

        await for_each(cases, judge_one, num_workers=self.num_workers)

    async def _judge_case(self, case: Case) -> Evaluation:
        begun = time.monotonic()
        try:
            found = await self._run(case)
        except (RnjError, SandboxError) as exc:
            found = case.without_verdict(exc.message)
        return found.model_copy(update={"duration_s": time.monotonic() - begun})

    async def _run(self, case: Case) -> Evaluation:
        script = with_exit_code(script_of(case.instance))
        image = await self.images.ensure(case.instance, self.say)
        session_id = f"evaluate/{case.instance.instance_id}"
        async with open_instance_sandbox(self.config, image, session_id=session_id) as sandbox:
            if reason := await apply_patch(sandbox, case.patch_bytes):
                return case.verdict("not_applied", reason)
            done = await self._run_tests(sandbox, script)
            output = await _whole_output(sandbox, done)
        write_whole(self.logs / case.instance.instance_id / TEST_LOG, output.encode())
        if done.timed_out:
            return case.verdict("time_limit", f"the tests ran for more than {self.timeout_s:g} s")
        return await _read(case, output, done)

    async def _run_tests(self, sandbox: Sandbox, script: str) -> ExecResult:
        path = f"{sandbox.state_dir}/eval.sh"
        await sandbox.write_file(path, script.encode("utf-8", "surrogateescape"))
        return await sandbox.execute(
            f"bash {path}",
            cwd=sandbox.workdir,
            timeout_s=self.timeout_s,
            env=None if sandbox.info.network else _OFFLINE,
        )


async def _whole_output(sandbox: Sandbox, done: ExecResult) -> str:
    if not done.full_output_path:
        return done.output
    return (await sandbox.read_file(done.full_output_path)).decode("utf-8", "replace")


async def _read(case: Case, output: str, done: ExecResult) -> Evaluation:
    log = read_log(output)
    if log.tests is None and done.exit_code == 0:
        return case.without_verdict(
            f"the end of the tests is not in what is kept of {done.output_bytes:,} bytes of output"
        )
    if log.tests is None:
        return case.without_verdict(f"the test script broke off with status {done.exit_code}")
    parser = parser_name(case.instance)
    # Some test runners write past the marks, so what is between them is not all there may be.
    statuses = await read_statuses(log.tests, parser) or await read_statuses(log.whole, parser)
    return verdict(case, log, statuses)
