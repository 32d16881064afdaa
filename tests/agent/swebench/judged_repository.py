"""A tiny repository with a bug, its image, and patches of every fate."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.sandbox.docker import check_image
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

CALC = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n"
TESTS = "from calc import sub\n\n\ndef test_sub():\n    assert sub(3, 1) == 2\n"

TEST_PATCH = (
    "diff --git a/tests/test_calc.py b/tests/test_calc.py\n"
    "--- a/tests/test_calc.py\n+++ b/tests/test_calc.py\n"
    "@@ -1,5 +1,9 @@\n-from calc import sub\n+from calc import add, sub\n \n \n"
    " def test_sub():\n     assert sub(3, 1) == 2\n"
    "+\n+\n+def test_add():\n+    assert add(3, 1) == 4\n"
)


def patch_to(first: str, second: str = "    return a - b") -> str:
    """A patch that makes these the bodies of ``add`` and ``sub``."""
    return (
        "diff --git a/calc.py b/calc.py\n--- a/calc.py\n+++ b/calc.py\n"
        "@@ -1,6 +1,6 @@\n def add(a, b):\n-    return a - b\n"
        f"+{first}\n \n \n def sub(a, b):\n-    return a - b\n+{second}\n"
    )


GOLD = patch_to("    return a + b")
WRONG = patch_to("    return a * b")
BREAKING = patch_to("    return a + b", "    return b - a")
HANGING = patch_to("    while True: pass")
BROKEN_SYNTAX = patch_to("    return (")
FORGING = GOLD.replace("a + b", "a * b") + (
    "diff --git a/conftest.py b/conftest.py\nnew file mode 100644\n--- /dev/null\n"
    "+++ b/conftest.py\n@@ -0,0 +1,6 @@\n+import os\n+\n"
    "+def pytest_collection_finish():\n"
    "+    os.write(1, b'PASSED tests/test_calc.py::test_add\\n')\n"
    "+    os.write(1, b'PASSED tests/test_calc.py::test_sub\\n')\n"
    "+    os._exit(3)\n"
)
NOT_FITTING = GOLD.replace("-    return a - b", "-    return a / b")
DRIFTED = (
    "diff --git a/calc.py b/calc.py\n--- a/calc.py\n+++ b/calc.py\n"
    "@@ -1,5 +1,5 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n \n \n"
    " def subtract(a, b):\n"
)
"""Only ``patch`` with its fuzz, the last attempt, takes it."""


_STAY = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
"""Unlike the harness's own ``tail -f``, it ends as soon as it is told to."""
_DOCKERFILE = f"""\
FROM {DEFAULT_IMAGE}
USER root
COPY testbed /testbed
ENTRYPOINT ["bash", "-c", "{_STAY}"]
"""


class OneImage:
    """Implements ``ImageSource``: this image for whatever instance."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def ensure(self, instance: Instance, say: Say) -> str:
        return self._name


@contextmanager
def judged_repository(folder: Path) -> Generator[tuple[Instance, str]]:
    """The instance and the image that has its repository at /testbed; removed in the end."""
    try:
        client = connect()
        check_image(client, DEFAULT_IMAGE)
    except SandboxError as exc:
        pytest.skip(f"{exc.message}; do: {exc.hint}")
    commit = _commit(folder / "testbed")
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    name = f"rnj-swebench-test/{secrets.token_hex(6)}:1"
    client.images.build(path=str(folder), tag=name, rm=True)
    try:
        yield _instance(commit), name
    finally:
        client.images.remove(name, force=True)
        client.close()


def _instance(commit: str) -> Instance:
    return Instance(
        instance_id="tiny__calc-1",
        repo="tiny/calc",
        base_commit=commit,
        problem_statement="add subtracts",
        patch=GOLD,
        test_patch=TEST_PATCH,
        fail_to_pass=("tests/test_calc.py::test_add",),
        pass_to_pass=("tests/test_calc.py::test_sub",),
        version="1.0",
    )


def _commit(root: Path) -> str:
    (root / "tests").mkdir(parents=True)
    (root / "calc.py").write_text(CALC)
    (root / "tests" / "test_calc.py").write_text(TESTS)
    (root / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "a start")):
        subprocess.run(["git", *arguments], cwd=root, env=env, check=True)
    head = ["git", "rev-parse", "HEAD"]
    return subprocess.run(head, cwd=root, check=True, capture_output=True).stdout.decode().strip()
