"""The official harness as a judge: the package ``swebench``, run on the images that we have.

Its containers are its own: as root, with a network. What it writes stays in the work directory, in
its own layout; a killed evaluation goes on where it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.swebench.evaluation.case import Case, OnVerdict
from rnj_agent.agent.swebench.evaluation.for_each import for_each
from rnj_agent.agent.swebench.evaluation.harness_log import HarnessLog
from rnj_agent.agent.swebench.evaluation.harness_process import (
    DATASET,
    HARNESS_LOG,
    PREDICTIONS,
    check_harness,
    run_harness,
)
from rnj_agent.agent.swebench.evaluation.script import script_of
from rnj_agent.agent.swebench.evaluation.statuses import parser_name
from rnj_agent.agent.swebench.images.source import ImageSource, Say
from rnj_agent.agent.swebench.run_dir import write_whole
from rnj_agent.sandbox.errors import SandboxError

_POLL_S: Final = 1.0
_LOGS: Final = Path("logs", "run_evaluation")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialJudge:
    """Implements ``Judge``."""

    images: ImageSource
    say: Say
    directory: Path
    """Where the harness works and leaves its logs."""
    num_workers: int
    timeout_s: int
    """Of the test script."""
    redo: bool = False
    """Whether reports that the harness has left are judged again."""

    async def judge(self, cases: Sequence[Case], on_verdict: OnVerdict) -> None:
        check_harness()
        self.directory.mkdir(parents=True, exist_ok=True)
        cases = [case for case in cases if not self._has_report(case, on_verdict)]
        rows = await self._rows(cases, on_verdict)
        todo = [case for case in cases if case.instance.instance_id in rows]
        if not todo:
            return
        self._write_input(todo, rows)
        running = run_harness(
            self.directory, self.run_id, num_workers=self.num_workers, timeout_s=self.timeout_s
        )
        async with running as harness:
            todo = await self._collect(todo, harness, on_verdict)
        for case in todo:
            on_verdict(self._log_of(case).explain(case, self.directory / HARNESS_LOG))

    @property
    def run_id(self) -> str:
        """Names the containers, so it is this directory's alone; the same when it goes on."""
        return "rnj-" + hashlib.sha256(str(self.directory.resolve()).encode()).hexdigest()[:12]

    async def _rows(
        self, cases: Sequence[Case], on_verdict: OnVerdict
    ) -> dict[str, dict[str, object]]:
        """The harness's rows by id, of those whose image is there."""
        rows: dict[str, dict[str, object]] = {}

        async def prepare(case: Case) -> None:
            try:
                image = await self.images.ensure(case.instance, self.say)
                rows[case.instance.instance_id] = _row(case, image)
            except (RnjError, SandboxError) as exc:
                on_verdict(case.without_verdict(exc.message))

        await for_each(cases, prepare, num_workers=self.num_workers)
        return rows

    def _has_report(self, case: Case, on_verdict: OnVerdict) -> bool:
        """From an evaluation that was killed; others go, since the harness keeps what it finds."""
        log = self._log_of(case)
        found = None if self.redo else log.verdict(case)
        if found is not None and found.status != "infra_failure":
            on_verdict(found)
            return True
        shutil.rmtree(log.folder, ignore_errors=True)
        return False

    def _log_of(self, case: Case) -> HarnessLog:
        model = case.model_name.replace("/", "__")
        folder = self.directory / _LOGS / self.run_id / model / case.instance.instance_id
        return HarnessLog(folder)

    def _write_input(self, cases: Sequence[Case], rows: dict[str, dict[str, object]]) -> None:
        predictions = [
            {
                "instance_id": case.instance.instance_id,
                "model_name_or_path": case.model_name,
                "model_patch": case.patch,
            }
            for case in cases
        ]
        dataset = [rows[case.instance.instance_id] for case in cases]
        write_whole(self.directory / DATASET, json.dumps(dataset).encode())
        write_whole(self.directory / PREDICTIONS, json.dumps(predictions).encode())

    async def _collect(
        self, cases: Sequence[Case], harness: asyncio.subprocess.Process, on_verdict: OnVerdict
    ) -> list[Case]:
        """Hand on each report as it appears; what has none when the harness ends is returned."""
        todo = list(cases)
        ended = False
        while todo and not ended:
            with suppress(TimeoutError):
                await asyncio.wait_for(harness.wait(), _POLL_S)
            ended = harness.returncode is not None
            for case in tuple(todo):
                if (found := self._log_of(case).verdict(case)) is not None:
                    on_verdict(found)
                    todo.remove(case)
        return todo


def _row(case: Case, image: str) -> dict[str, object]:
    """As ``make_test_spec`` wants it; what an older row lacks is filled in."""
    instance = case.instance
    return {
        "instance_id": instance.instance_id,
        "repo": instance.repo,
        "version": instance.version,
        "base_commit": instance.base_commit,
        "image": image,
        "FAIL_TO_PASS": list(instance.fail_to_pass),
        "PASS_TO_PASS": list(instance.pass_to_pass),
        "eval_script": script_of(instance),
        "log_parser": f"parse_log_{parser_name(instance)}",
        "eval_type": instance.eval_type or "pass_and_fail",
    }
