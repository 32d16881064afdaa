"""Apply a model's patch in the sandbox, with the attempts of the official harness in its order.

``GIT_APPLY_CMDS`` and ``run_instance`` in swebench/harness/run_evaluation.py, 5.0.2. A patch that
needed more than plain ``git apply`` counts as applied there, so it does here.
"""

from __future__ import annotations

from typing import Final

from rnj_agent.sandbox.base import Sandbox

APPLY_COMMANDS: Final = (
    "git apply --verbose",
    "git apply --verbose --3way",
    "git apply --verbose --reject",
    "patch --batch --forward --fuzz=5 -p1 -i",
)
_RESET: Final = "git checkout -- . ; git clean -fd"
_TIMEOUT_S: Final = 300.0
_DETAIL_LINES: Final = 3


async def apply_patch(sandbox: Sandbox, patch: bytes) -> str:
    """Change the sandbox's repository; returns why that cannot be, empty where it could.

    Raises:
        SandboxError: the sandbox is gone, or has no space left.
    """
    path = f"{sandbox.state_dir}/model.diff"
    await sandbox.write_file(path, patch)
    complaints: list[str] = []
    for number, command in enumerate(APPLY_COMMANDS):
        if number:
            await _run(sandbox, _RESET)  # of --reject above all, which applies what it can
        status, output = await _run(sandbox, f"{command} {path}")
        if status == 0:
            return ""
        complaints.append(output)
    # The attempts can leave the whole patch applied, although each of them complains.
    status, _ = await _run(sandbox, f"git apply --check --reverse {path}")
    return "" if status == 0 else _first_errors(complaints[0])


async def _run(sandbox: Sandbox, command: str) -> tuple[int, str]:
    done = await sandbox.execute(command, cwd=sandbox.workdir, timeout_s=_TIMEOUT_S)
    return done.exit_code, done.output


def _first_errors(output: str) -> str:
    """What plain ``git apply`` said, which is the plainest of the four."""
    lines = [line.strip() for line in output.splitlines()]
    errors = [line for line in lines if line.startswith(("error:", "fatal:"))] or lines
    errors = [line for line in errors if not line.endswith("searching for:")]  # what follows it
    return "; ".join(line for line in errors[:_DETAIL_LINES] if line) or "no reason was given"
