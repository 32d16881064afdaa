"""Synthetic SWE-bench instances, their image and a scripted server: what benchmarks share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

IMAGE: Final = "rnj-swebench-benchmark:1"
NUM_MODULES: Final = 40
_SERVER: Final = Path(__file__).with_name("swebench_server.py")
_DOCKERFILE: Final = f"""FROM {DEFAULT_IMAGE}
COPY testbed /testbed
RUN cd /testbed && git init -q . && git add -A \\
 && git -c user.name=b -c user.email=b@localhost commit -qm first \\
 && chmod -R a+rwX /testbed && touch ~root/.bashrc && git config --system --add safe.directory '*'
"""


def build_image(*, engine: str = "") -> None:
    """A small repository at /testbed; ``engine``: a DOCKER_HOST."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "testbed" / "pkg"
        package.mkdir(parents=True)
        for number in range(NUM_MODULES):
            body = "\n".join(f"# line {line}" for line in range(60))
            text = f"{body}\n\n\ndef value_{number}():\n    return {number}\n"
            (package / f"module_{number}.py").write_text(text)
        (Path(folder) / "Dockerfile").write_text(_DOCKERFILE)
        docker(["build", "-q", "-t", IMAGE, folder], engine=engine)


def docker(arguments: Sequence[str], *, engine: str = "") -> str:
    """The docker program's output."""
    env = {**os.environ, "DOCKER_BUILDKIT": "0"} | ({"DOCKER_HOST": engine} if engine else {})
    run = subprocess.run(["docker", *arguments], env=env, check=True, capture_output=True)
    return run.stdout.decode().strip()


def expected_status(number: int, *, all_submit: bool) -> str:
    """How instance ``number`` is to end."""
    if all_submit:
        return "submitted"
    return {8: "step_limit", 9: "format_errors"}.get(number % 10, "submitted")


def write_rows(path: Path, num_instances: int, *, all_submit: bool) -> dict[str, str]:
    """Instances as a .jsonl file that both programs read: the status that each is to end with."""
    expected: dict[str, str] = {}
    with path.open("w", encoding="utf-8") as rows:
        for number in range(num_instances):
            name = f"bench__bench-{number:04}"
            expected[name] = expected_status(number, all_submit=all_submit)
            row = {
                "instance_id": name,
                "repo": "bench/bench",
                "base_commit": "0" * 40,
                "problem_statement": f"value_3 is wrong in {name}.\n\nkind: {expected[name]}",
                "patch": "",
                "test_patch": "",
                "FAIL_TO_PASS": [],
                "PASS_TO_PASS": [],
                "version": "1",
                "image": IMAGE,
                "image_name": IMAGE,
            }
            rows.write(json.dumps(row) + "\n")
    return expected


@contextmanager
def scripted_server(*options: str) -> Generator[str]:
    """A server process of its own: its base URL."""
    server = subprocess.Popen(
        [sys.executable, str(_SERVER), *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()
