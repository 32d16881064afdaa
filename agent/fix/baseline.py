"""The copy's first state, kept inside the sandbox where the model does not work.

The patch is the difference between this baseline and the files as they are, so nothing that the
model does to its own ``.git``, to ``.gitattributes`` or to git's configuration changes it: the
baseline lies in the sandbox's state folder, and its ``info/attributes`` (which outrank those of
the files) switch every conversion off. Bytes are compared, and nothing but bytes.

New files count unless the repository ignores them or they are on the short list below. Repositories
that the model makes inside the copy are left out.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError

MAX_PATCH_BYTES = 16 * 1024**2
SCRIPT_TIMEOUT_S = 900.0

JUNK = (
    "__pycache__/",
    "*.py[co]",
    ".pytest_cache/",
    ".hypothesis/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".coverage",
    "*.egg-info/",
    ".venv/",
    "node_modules/",
    "*.orig",
    "*.rej",
    "*.swp",
    "/patch.txt",
    "/*.patch",
)
"""Never part of a patch, unless the file was there before."""

_ATTRIBUTES = "* -text -crlf -eol -filter -ident -working-tree-encoding diff=rnj"
_CONFIG = """
[core]
    autocrlf = false
    fileMode = true
    symlinks = true
    ignoreCase = false
    quotePath = true
    fsync = none
    hooksPath = /dev/null
    attributesFile = /dev/null
    excludesFile = /dev/null
[gc]
    auto = 0
"""

_PREAMBLE = """set -e -o pipefail
export LC_ALL=C GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0
export GIT_AUTHOR_NAME=rnj-agent GIT_AUTHOR_EMAIL=rnj-agent@localhost
export GIT_COMMITTER_NAME=rnj-agent GIT_COMMITTER_EMAIL=rnj-agent@localhost
export GIT_DIR=$STATE/baseline.git GIT_WORK_TREE=$WORK GIT_INDEX_FILE=$STATE/baseline.git/index
"""

_CREATE = """
command -v git >/dev/null || { echo 'git is not installed in the sandbox'; exit 1; }
git init -q --template=
printf '%s\\n' "$CONFIG" >> "$GIT_DIR/config"
mkdir -p "$GIT_DIR/info"
printf '%s\\n' "$ATTRIBUTES" > "$GIT_DIR/info/attributes"
if [[ -n ${LISTED-} ]]; then
  (cd "$WORK" && git update-index --add --remove -z --stdin < "$LISTED")
else
  git --work-tree="$WORK" add -A -f -- "$WORK"
fi
commit=$(git commit-tree -m 'The files as they were copied' "$(git write-tree)")
git symbolic-ref HEAD refs/heads/main
git update-ref refs/heads/main "$commit"
printf '%s\\n' "$JUNK" > "$GIT_DIR/info/exclude"

# For the model: a repository of its own with the same one commit, whose objects are borrowed.
baseline=$GIT_DIR
cd "$WORK"
export GIT_DIR=.git
unset GIT_WORK_TREE GIT_INDEX_FILE
git init -q --template=
mkdir -p .git/info .git/objects/info
printf '%s\\n' "$baseline/objects" > .git/objects/info/alternates
cp -p "$baseline/index" .git/index
cp "$baseline/info/exclude" .git/info/exclude
git symbolic-ref HEAD refs/heads/main
git update-ref refs/heads/main "$commit"
printf '[user]\\n\\tname = rnj-agent\\n\\temail = rnj-agent@localhost\\n' >> .git/config
"""

# The copied index keeps its times: git tells by them which files it must read again.
_SCAN = """
cp -p "$GIT_INDEX_FILE" "$GIT_DIR/index.now"
export GIT_INDEX_FILE=$GIT_DIR/index.now
cd "$WORK"
git add -u
git ls-files -z --others --exclude-standard | { grep -zv '/$' || true; } |
  git update-index --add -z --stdin
git diff --cached $FORM -M "$SINCE" > "$STATE/patch"
"""
_MAKE_READABLE = """
chmod -R -f u+rwX -- "$WORK" || true
"""
# Again, file by file: those in another encoding than UTF-8 as if they were binary.
_RECODE = """
export GIT_INDEX_FILE=$GIT_DIR/index.now
cd "$WORK"
: > "$STATE/patch"
git diff --cached -z --name-only --no-renames "$SINCE" > "$STATE/names"
while IFS= read -r -d '' name; do
  set -- "$SINCE" -- ":(top,literal)$name" ":(top,exclude,literal)$name/"
  git diff --cached $FORM --no-renames "$@" > "$STATE/one"
  iconv -f UTF-8 -t UTF-8 "$STATE/one" > /dev/null 2>&1 ||
    git -c diff.rnj.binary=true diff --cached $FORM --no-renames "$@" > "$STATE/one"
  cat "$STATE/one" >> "$STATE/patch"
done < "$STATE/names"
"""
_FORM = (
    "--binary --full-index --no-ext-diff --no-textconv --no-color --no-relative "
    "--src-prefix=a/ --dst-prefix=b/"
)

_DELIVERED = """
tree=$(GIT_INDEX_FILE=$GIT_DIR/index.now git write-tree)
git update-ref refs/heads/delivered "$(git commit-tree -m 'What was delivered' "$tree")"
"""

_SETTLE = """
cd "$WORK"
git diff-files -z --name-only > "$STATE/changed"
git checkout-index -f -z --stdin < "$STATE/changed"
git ls-files -z --others --exclude-standard > "$STATE/made"
"""

_PUT_BACK = """
cd "$WORK"
git checkout-index -f -a
git ls-files -z --others --exclude-standard | xargs -0 -r rm -f --
"""

_EXCLUDE = """
cat "$STATE/exclude" >> "$GIT_DIR/info/exclude"
[ ! -d "$WORK/.git/info" ] || cat "$STATE/exclude" >> "$WORK/.git/info/exclude"
"""

_PRISTINE = """
rm -rf "$PLACE"
mkdir "$PLACE"
cp -a "$WORK/." "$PLACE/"
cd "$PLACE"
cp -p "$GIT_INDEX_FILE" "$GIT_DIR/index.pristine"
export GIT_INDEX_FILE=$GIT_DIR/index.pristine GIT_WORK_TREE=$PLACE
"""


class Baseline:
    """Args: sandbox: already entered, with the copy in its ``workdir``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._state = sandbox.state_dir
        self._delivered = "main"
        self.left_out: tuple[str, ...] = ()
        """What ``leave_out`` was told."""

    async def create(self, *, date: str = "", listed: str = "") -> None:
        """Record the copy as it is, and give the model a fresh repository.

        Args:
            date: of its one commit, as git reads dates; empty: now. The same files with the same
                date have the same commit id.
            listed: a file in the sandbox that names, each ended by a NUL, the files that count;
                empty: all.

        Raises:
            SandboxFileError: no git in the sandbox, or no space.
        """
        settings = {
            "CONFIG": _CONFIG,
            "ATTRIBUTES": _ATTRIBUTES,
            "JUNK": "\n".join(JUNK),
        }
        if listed:
            settings |= {"LISTED": listed}
        if date:
            settings |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        await self._run(_CREATE, settings)

    async def read_patch(self, *, undelivered: bool = False) -> str:
        """The difference to the baseline; empty where there is none. Always valid UTF-8.

        Args:
            undelivered: against what ``mark_delivered`` recorded, if it ever did.

        Raises:
            SandboxFileError: unreadable or removed files, or a patch beyond ``MAX_PATCH_BYTES``.
        """
        variables = {"FORM": _FORM, "SINCE": self._delivered if undelivered else "main"}
        try:
            await self._run(_SCAN, variables)
        except SandboxFileError:
            # What the model made unreadable for itself is unreadable for us.
            await self._run(_MAKE_READABLE + _SCAN, variables)
        data = await self._read("patch", MAX_PATCH_BYTES)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            await self._run(_RECODE, variables)
            return (await self._read("patch", MAX_PATCH_BYTES)).decode("utf-8")

    async def mark_delivered(self) -> None:
        """Remember the files as the last ``read_patch`` saw them.

        Raises:
            SandboxFileError: no space.
        """
        await self._run(_DELIVERED, {})
        self._delivered = "delivered"

    async def settle(self) -> tuple[str, ...]:
        """Undo what a command that is not the model's has done: the files put back.

        What it changed is put back, what it made will never count as part of a patch.

        Raises:
            SandboxFileError: the files cannot be read or written.
        """
        await self._run(_SETTLE, {})
        changed = _names(await self._read("changed"))
        made = _names(await self._read("made"))
        if made:
            await self.leave_out(made)
        return changed

    async def put_back(self) -> None:
        """Undo all that the model has done to the files that count.

        Raises:
            SandboxFileError: the files cannot be read or written.
        """
        await self._run(_PUT_BACK, {})

    async def leave_out(self, paths: Sequence[str]) -> None:
        """Never make these, or what is in them, part of a patch.

        Raises:
            SandboxFileError: no space.
        """
        self.left_out += tuple(paths)
        lines = "".join(f"/{_literal_pattern(path)}\n" for path in paths)
        await self._sandbox.write_file(
            f"{self._state}/exclude", lines.encode("utf-8", "surrogateescape")
        )
        await self._run(_EXCLUDE, {})

    async def make_pristine(self, restored: Sequence[str], removed: Sequence[str]) -> str:
        """Copy the files as they are now, but some as they were: where that copy lies.

        Raises:
            SandboxFileError: no space.
        """
        place = f"{self._state}/pristine"
        script = _PRISTINE
        if restored:
            script += f"git checkout-index -f -- {shlex.join(restored)}\n"
        if removed:
            script += f"rm -f -- {shlex.join(removed)}\n"
        await self._run(script, {"PLACE": place})
        return place

    async def _run(self, script: str, variables: dict[str, str]) -> None:
        result = await self._sandbox.execute(
            _PREAMBLE + script,
            cwd=self._state,
            timeout_s=SCRIPT_TIMEOUT_S,
            env={"STATE": self._state, "WORK": self._sandbox.workdir, **variables},
        )
        if result.exit_code != 0:
            said = " ".join(result.output.split())[-500:] or f"exit status {result.exit_code}"
            raise SandboxFileError(f"The files in the sandbox cannot be compared: {said}.")

    async def _read(self, name: str, max_bytes: int = 8 * 1024**2) -> bytes:
        return await self._sandbox.read_file(f"{self._state}/{name}", max_bytes=max_bytes)


def _names(data: bytes) -> tuple[str, ...]:
    return tuple(os.fsdecode(name) for name in data.split(b"\0") if name)


def _literal_pattern(path: str) -> str:
    """A line of an exclude file that matches this path alone."""
    return re.sub(r"([\\*?\[\] ])", r"\\\1", path)
