"""What the interpreter cannot see: types, shapes and memory that a card's compiler refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="no Triton: pip install triton")

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("kernels", ["attention", "fp8"])
def test_kernels_compile_for_every_kind_of_card(kernels: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    program = "tests.runtime.kernels.compiled_kernels"
    done = subprocess.run(
        [sys.executable, "-m", program, f"tests.runtime.kernels.{kernels}_compilations"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
