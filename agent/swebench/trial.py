"""One try at an attempt: image, sandbox, the loop to its end, and what is kept of it."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from rnj_agent.agent.assembly import make_loop
from rnj_agent.agent.config import Config
from rnj_agent.agent.ending import Ending, ending_of
from rnj_agent.agent.endpoint import resolve_endpoint
from rnj_agent.agent.events import RunFinished
from rnj_agent.agent.follow import follow
from rnj_agent.agent.fresh_start import Sampling
from rnj_agent.agent.harness import harness_for
from rnj_agent.agent.instructions import system_prompt
from rnj_agent.agent.model import ModelInfo
from rnj_agent.agent.session import SessionWriter
from rnj_agent.agent.swebench.attempt_log import AttemptLog, sync_log
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.figures import unix_s
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.instance_sandbox import open_instance_sandbox
from rnj_agent.agent.swebench.instance_workspace import InstanceWorkspace
from rnj_agent.agent.swebench.patch_check import PatchCheck, check_patch
from rnj_agent.agent.swebench.patient_model import PatientModel
from rnj_agent.agent.swebench.results import AttemptResult, ExitStatus
from rnj_agent.agent.swebench.run_dir import PATCH, RESULT, write_record, write_whole
from rnj_agent.agent.swebench.trial_tally import TrialTally
from rnj_agent.agent.swebench.workshop import Workshop
from rnj_agent.agent.task import Task
from rnj_agent.agent.window_shares import fitted, issue_chars
from rnj_agent.prompts import IssueFacts, render_fix_task
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import ImageMissingError


@dataclass(slots=True, kw_only=True)
class Trial:
    """Args: see ``run_attempt``."""

    spec: AttemptSpec
    workshop: Workshop
    directory: Path
    _started_at: datetime = field(default_factory=lambda: datetime.now(UTC), init=False)
    _started_s: float = field(default_factory=time.monotonic, init=False)
    _image_s: float = field(default=0.0, init=False)
    _sandbox_s: float = field(default=0.0, init=False)
    _tally: TrialTally = field(init=False)
    _model: PatientModel = field(init=False)
    _finished: RunFinished | None = field(default=None, init=False)
    _check: PatchCheck = field(default_factory=PatchCheck, init=False)

    def __post_init__(self) -> None:
        spec, workshop = self.spec, self.workshop
        self._tally = TrialTally(workshop.board, spec.instance.instance_id, spec.attempt)
        self._model = PatientModel(
            workshop.model,
            pause=workshop.pause,
            temperature=spec.temperature,
            seed=spec.seed,
            is_bundled=resolve_endpoint(spec.config).is_bundled,
        )

    @property
    def paused_s(self) -> float:
        """How long it waited for the model's server."""
        return self._model.paused_s

    async def run(self) -> AttemptResult:
        """Try it; what escapes is a result, too.

        Raises:
            CancelledError: it ended in order, without a result.
        """
        work = asyncio.create_task(self._work())
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            raise
        error = work.exception()
        return self._result(error)

    def save(self, result: AttemptResult) -> None:
        """Keep events, patch and result, in this order.

        Raises:
            OSError: the disk refuses; there is no result then.
        """
        sync_log(self.directory)
        if self._patch:
            write_whole(self.directory / PATCH, self._patch)
        write_record(self.directory / RESULT, result)

    async def _work(self) -> None:
        spec = self.spec
        started_s = time.monotonic()
        self._doing("its image")
        image = await self.workshop.images.ensure(spec.instance, self.workshop.say)
        opened_s = time.monotonic()
        self._image_s = opened_s - started_s
        self._doing("starts its sandbox")
        closed_s = opened_s
        try:
            sandbox = open_instance_sandbox(spec.config, image, session_id=spec.session_id)
            async with sandbox:
                workspace = InstanceWorkspace(sandbox=sandbox)
                await workspace.prepare(date=_date_of(spec.instance))
                self._sandbox_s = time.monotonic() - opened_s
                await self._loop(sandbox, workspace)
                closed_s = time.monotonic()
        finally:
            self._sandbox_s += time.monotonic() - closed_s
        if spec.is_checked and self._patch:
            self._doing("tries its patch")
            self._check = await check_patch(spec, image, self._patch)

    async def _loop(self, sandbox: Sandbox, workspace: InstanceWorkspace) -> None:
        spec, directory = self.spec, self.directory
        session = await asyncio.to_thread(SessionWriter.create, directory.name, directory.parent)
        loop = make_loop(
            spec.config,
            model=self._model,
            sandbox=sandbox,
            workspace=workspace,
            recorder=AttemptLog(session),
        )
        loop.sampling = Sampling(temperature=spec.temperature, seed=spec.seed)
        name = self._model.info.name
        task = Task(
            session_id=spec.session_id,
            text=spec.instance.instance_id,
            system_prompt=system_prompt(spec.config, name, needs_patch=True),
            user_message=user_message(
                spec.config, self._model.info, spec.instance, sandbox.workdir
            ),
            cwd=sandbox.workdir,
        )
        self._finished = await follow(loop.run(task), self._tally)

    def _doing(self, what: str) -> None:
        spec = self.spec
        self.workshop.board.doing(spec.instance.instance_id, spec.attempt, what)

    @property
    def _patch(self) -> bytes:
        text = "" if self._finished is None else self._finished.patch
        return text.encode("utf-8", "surrogateescape")

    def _result(self, error: BaseException | None) -> AttemptResult:
        """What a run ended with counts, also where its sandbox could not be removed behind it."""
        spec, finished, tally = self.spec, self._finished, self._tally
        status, detail = _end(finished, error)
        return AttemptResult(
            attempt=spec.attempt,
            status=status,
            detail=detail,
            patch_sha256=sha256(self._patch).hexdigest() if self._patch else "",
            patch_bytes=len(self._patch),
            num_steps=tally.num_steps,
            num_prompt_tokens=tally.num_prompt_tokens,
            num_cached_tokens=tally.num_cached_tokens,
            num_completion_tokens=tally.num_completion_tokens,
            num_format_errors=tally.num_corrections,
            model_s=tally.model_s,
            commands_s=tally.commands_s,
            sandbox_s=self._sandbox_s,
            image_s=self._image_s,
            paused_s=self.paused_s,
            duration_s=time.monotonic() - self._started_s,
            seed=spec.seed,
            temperature=spec.temperature,
            started_at=self._started_at.isoformat(timespec="seconds"),
            worker=f"{socket.gethostname()}:{os.getpid()}",
            tests_broken=self._check.num_broken,
            unusable=self._check.unusable,
        )


def _end(finished: RunFinished | None, error: BaseException | None) -> tuple[ExitStatus, str]:
    if finished is not None:
        return finished.reason, finished.detail
    assert error is not None, "a trial ends with a finished run or an error"
    ending: Ending = ending_of(error)
    is_about_the_image = isinstance(error, ImageMissingError)
    return "image_error" if is_about_the_image else ending.reason, ending.detail


def _date_of(instance: Instance) -> str:
    """Of the one commit that the model sees; empty where the row's is none that git reads."""
    return "" if unix_s(instance.created_at) is None else instance.created_at


def user_message(config: Config, model: ModelInfo, instance: Instance, workdir: str) -> str:
    """What the model is told first: the issue, and nothing that the instance knows of its fix."""
    issue = fitted(instance.problem_statement, issue_chars(model.context_window))
    facts = IssueFacts(issue=issue, workdir=workdir, file_list=(), num_files=0)
    return render_fix_task(facts, form=harness_for(config, model.name).form)
