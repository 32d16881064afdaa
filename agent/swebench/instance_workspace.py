"""The repository that an instance's image holds: its history removed, and a patch taken out.

The model finds one fresh commit of the files as the image has them. Neither the fix nor any other
commit is left in ``.git``: no object, ref, reflog, remote or stash of the image's repository.

Not part of a patch: files that git did not track in the image (build products, mostly), and those
of submodules, which no patch for this repository can change.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from rnj_agent.agent.fix import feedback
from rnj_agent.agent.fix.baseline import Baseline
from rnj_agent.agent.fix.judged import Judged
from rnj_agent.agent.fix.patch import PatchError, parse_patch
from rnj_agent.agent.workspace import Emit, Evidence, Review
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.tools.base import ToolResult

_FORGET_TIMEOUT_S: Final = 600.0

# Named outright, the repository may belong to whomever the image says.
_FORGET: Final = """
set -e -o pipefail
cd "$WORK"
[[ -d .git ]] || { echo "$WORK is no git repository"; exit 1; }
export GIT_DIR=$WORK/.git GIT_WORK_TREE=$WORK GIT_OPTIONAL_LOCKS=0
git ls-files -s -z > "$STATE/staged"
sed -z -e '/^160000 /d' -e 's/^[^\\t]*\\t//' "$STATE/staged" > "$STATE/tracked"
sed -z -n -e 's/^160000 [^\\t]*\\t//p' "$STATE/staged" > "$STATE/submodules"
{
  cat "$STATE/submodules"
  git ls-files -z --others --exclude-standard --directory
} > "$STATE/others"
while IFS= read -r -d '' path; do
  rm -rf -- "$path/.git"
done < "$STATE/submodules"
rm -rf .git
"""


@dataclass(slots=True, kw_only=True)
class InstanceWorkspace:
    """Implements ``Workspace``. The sandbox is entered, and left, by the caller."""

    sandbox: Sandbox
    _baseline: Baseline = field(init=False)
    _reviewed: str | None = field(default=None, init=False)
    """The patch as the last review found it, while nothing has run since."""
    _abandoned: str = field(default="", init=False)
    """The patch that was undone last, to begin anew."""

    def __post_init__(self) -> None:
        self._baseline = Baseline(self.sandbox)

    @property
    def needs_patch(self) -> bool:
        return True

    async def prepare(self, *, date: str = "") -> None:
        """Remove the history, and remember the files as they are.

        Args:
            date: of the one commit, as git reads dates; empty: now.

        Raises:
            SandboxError: no git, no repository or no space in there.
        """
        sandbox = self.sandbox
        state = sandbox.state_dir
        variables = {"WORK": sandbox.workdir, "STATE": state}
        result = await sandbox.execute(
            _FORGET, cwd=state, timeout_s=_FORGET_TIMEOUT_S, env=variables
        )
        if result.exit_code != 0:
            said = " ".join(result.output.split())[-500:] or f"exit status {result.exit_code}"
            raise SandboxFileError(f"The image's repository cannot be used: {said}.")
        await self._baseline.create(date=date, listed=f"{state}/tracked")
        listed = await sandbox.read_file(f"{state}/others")
        others = [os.fsdecode(path) for path in listed.split(b"\0") if path]
        if others:
            await self._baseline.leave_out(others)

    async def review(self, emit: Emit) -> Review:
        try:
            patch = await self._baseline.read_patch()
            files = parse_patch(patch)
        except (SandboxFileError, PatchError) as error:
            return Review(accepted=False, feedback=feedback.unusable(error.message))
        if not files:
            return Review(accepted=False, feedback=feedback.NOTHING_CHANGED)
        self._reviewed = patch
        return Review(accepted=True)

    async def after_call(self, result: ToolResult, emit: Emit) -> Evidence:
        """Nothing: no test is known here, and each look at the files costs a command's time."""
        self._reviewed = None
        return Evidence()

    async def start_over(self, emit: Emit) -> str:
        self._reviewed = None
        tried = Judged()
        try:
            patch = await self._baseline.read_patch()
            tried = Judged(patch=patch, files=parse_patch(patch))
        except (SandboxFileError, PatchError):
            pass  # what cannot come out as a patch is of no use
        self._abandoned = tried.patch or self._abandoned
        await self._baseline.put_back()
        return tried.told() if tried.patch else ""

    async def collect(self) -> str:
        """As in ``Workspace``; where the files hold no change, what was undone last."""
        if self._reviewed is not None:
            return self._reviewed
        try:
            patch = await self._baseline.read_patch()
            parse_patch(patch)
        except (SandboxFileError, PatchError):
            if not self._abandoned:
                raise
            patch = ""
        return patch or self._abandoned
