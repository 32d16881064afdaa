"""``preds.json`` in the hands of those who read it: the official harness and sb-cli."""

from __future__ import annotations

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from rnj_agent.agent.swebench.predictions import Predictions
from rnj_agent.agent.swebench.results import AttemptResult, ExitStatus, InstanceResult
from rnj_agent.agent.swebench.run_dir import PATCH, RESULT, RunDir, write_record, write_whole

SB_CLI: Final = shutil.which("sb-cli")
PATCHES: Final = {
    "a__plain-1": b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
    "b__empty-2": b"",
    "c__words-3": "diff --git a/x b/x\n@@ -1 +1 @@\n-\u00e4\r\n+\u2028 \U0001f600\n".encode(),
    "d__latin-4": b"diff --git a/x b/x\n@@ -1 +1 @@\n-\xe4\n+b\n",
}
_SCRIPT: Final = """
import json, sys
from sb_cli.submit import process_predictions
print(json.dumps(process_predictions(sys.argv[1], [])))
"""


def add(run: RunDir, instance_id: str, patch: bytes, status: ExitStatus = "submitted") -> None:
    digest = sha256(patch).hexdigest() if patch else ""
    attempt = AttemptResult(attempt=1, status=status, patch_sha256=digest)
    if patch:
        write_whole(run.attempt(instance_id, 1) / PATCH, patch)
    write_record(run.attempt(instance_id, 1) / RESULT, attempt)
    result = InstanceResult(
        instance_id=instance_id, status=status, chosen=1 if patch else None, attempts=(attempt,)
    )
    write_record(run.instance(instance_id) / RESULT, result)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of four finished instances, and of one that ended for a reason of ours."""
    run = RunDir(tmp_path)
    for instance_id, patch in PATCHES.items():
        add(run, instance_id, patch)
    add(run, "e__ours-5", b"", status="image_error")
    Predictions(run, model_name="org/model", instance_ids=[*PATCHES, "e__ours-5"]).write()
    return run.predictions


def check(predictions: list[dict[str, Any]]) -> None:
    told = {each["instance_id"]: each["model_patch"] for each in predictions}
    assert told == {name: patch.decode("utf-8", "replace") for name, patch in PATCHES.items()}
    assert {each["model_name_or_path"] for each in predictions} == {"org/model"}
    assert len(predictions) == len(told)


def test_the_official_harness_reads_them(file: Path):
    utils = pytest.importorskip(
        "swebench.harness.utils",
        reason="the harness is not installed: pip install 'rnj-agent[swebench]'",
    )
    check(utils.get_predictions_from_file(str(file), "", "test"))


@pytest.mark.skipif(
    SB_CLI is None,
    reason="sb-cli is not here: pip install sb-cli into an environment of its own (it wants an "
    "older click), and put that one's bin folder at the end of PATH",
)
def test_sb_cli_reads_them(file: Path):
    assert SB_CLI is not None
    read = subprocess.run(
        [Path(SB_CLI).with_name("python"), "-c", _SCRIPT, file],
        check=True,
        capture_output=True,
        timeout=60,
    )
    check(json.loads(read.stdout))
