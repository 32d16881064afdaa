"""Whether a patch applies to a fresh copy, and which of the repository's own tests it breaks.

Only the repository as the model had it is used: neither the gold patch, nor the instance's tests,
nor the names of those that are to pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.evaluation.apply import apply_patch
from rnj_agent.agent.swebench.evaluation.pytest_log import READINGS, Reading, read_short_names
from rnj_agent.agent.swebench.instance_sandbox import open_instance_sandbox
from rnj_agent.sandbox.base import Sandbox

TESTS_TIMEOUT_S: Final = 1800.0
_PASSED: Final = frozenset({"PASSED", "XFAIL"})
_LOG: Final = "tests.log"
_MAX_LOG_BYTES: Final = 64 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchCheck:
    unusable: str = ""
    """Why it does not apply; empty where it does, or was not tried."""
    num_broken: int | None = None
    """Tests that passed before and do not now; None: not looked at, or none was seen to pass."""


async def check_patch(spec: AttemptSpec, image: str, patch: bytes) -> PatchCheck:
    """Try a patch in fresh sandboxes, one with it and one without: tests may change files.

    Raises:
        SandboxError: that could not be done.
    """
    parser = spec.instance.log_parser.removeprefix("parse_log_")
    reading = READINGS.get(parser, read_short_names)
    command = spec.test_command
    async with open_instance_sandbox(spec.config, image, session_id=spec.session_id) as sandbox:
        if unusable := await apply_patch(sandbox, patch):
            return PatchCheck(unusable=unusable)
        if not command:
            return PatchCheck()
        after = await _passing(sandbox, command, reading)
    async with open_instance_sandbox(spec.config, image, session_id=spec.session_id) as sandbox:
        before = await _passing(sandbox, command, reading)
    return PatchCheck(num_broken=len(before - after) if before else None)


async def _passing(sandbox: Sandbox, command: str, reading: Reading) -> frozenset[str]:
    """The tests that pass now."""
    log = f"{sandbox.state_dir}/{_LOG}"
    await sandbox.execute(f"{{ {command}\n}} > {log} 2>&1", timeout_s=TESTS_TIMEOUT_S)
    said = await sandbox.read_file(log, max_bytes=_MAX_LOG_BYTES)
    statuses = reading(said.decode("utf-8", "replace"))
    return frozenset(name for name, status in statuses.items() if status in _PASSED)
