"""The script that runs an instance's tests: the row's own, else one for pytest.

It puts the tests of the gold pull request in, runs them between two marks that are in its trace,
and says what the test command returned. It knows no environment: the image's is active, and the
scripts of version 5 rows activate it themselves.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.fix.patch import FilePatch, PatchError, parse_patch
from rnj_agent.agent.swebench.instance import Instance

START_MARK: Final = ">>>>> Start Test Output"
END_MARK: Final = ">>>>> End Test Output"
EXIT_MARK: Final = ">>>>> Test Exit Code"
_HEREDOC: Final = "EOF_114329324912"
"""As in the rows' own scripts: no test patch holds it."""


def script_of(instance: Instance) -> str:
    """The whole bash script, as the official harness takes it.

    Raises:
        UsageError: the row has none, and its tests are not pytest's.
    """
    return instance.eval_script or _pytest_script(instance)


def with_exit_code(script: str) -> str:
    """Have it say the test command's status, behind the output that the tests can forge."""
    lines = script.split("\n")
    for number, line in enumerate(lines):
        if END_MARK in line:
            noted = ["RNJ_TEST_STATUS=$?", line, f'echo "{EXIT_MARK}: $RNJ_TEST_STATUS"']
            return "\n".join([*lines[:number], *noted, *lines[number + 1 :]])
    return script


def _pytest_script(instance: Instance) -> str:
    tests = (*instance.fail_to_pass, *instance.pass_to_pass)
    if not tests or not all("::" in name for name in tests):
        raise UsageError(
            f"{instance.instance_id} has no eval_script, and its tests are not pytest's",
            hint="use the data set's version 5 rows, which bring their test command",
        )
    files = _changed_by(instance)
    kept = [file.old_path for file in files if file.old_path is not None]
    new = [file.new_path for file in files if file.old_path is None and file.new_path is not None]
    named = [file.new_path for file in files if file.new_path is not None]
    reset = f"git checkout {instance.base_commit} -- {_quoted(kept)}" if kept else ":"
    remove = f"rm -f -- {_quoted(new)}" if new else ":"
    run = f"pytest -rA {_quoted([path for path in named if path.endswith('.py')])}"
    return "\n".join(
        [
            *("#!/bin/bash", "set -uxo pipefail", "cd /testbed"),
            "git config --global --add safe.directory /testbed",
            *(reset, remove),
            *(f"git apply -v - <<'{_HEREDOC}'", instance.test_patch, _HEREDOC),
            *(f": '{START_MARK}'", run, f": '{END_MARK}'"),
            *(reset, remove, ""),
        ]
    )


def _changed_by(instance: Instance) -> tuple[FilePatch, ...]:
    try:
        return parse_patch(instance.test_patch)
    except PatchError as exc:
        raise UsageError(f"the test patch of {instance.instance_id}: {exc.message}") from exc


def _quoted(paths: Sequence[str]) -> str:
    return " ".join(shlex.quote(path) for path in paths)
