from __future__ import annotations

from pathlib import Path

import pytest

from rnj_agent.agent.cli.doctor.kernels import check_kernels
from rnj_agent.runtime.kernels.cpu.compiler import find_compiler


def test_compiled_kernels_are_named_by_their_instruction_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if find_compiler() is None:
        pytest.skip("there is no C compiler: sudo apt-get install -y gcc")
    monkeypatch.delenv("RNJ_ISA", raising=False)
    assert "plain C" in check_kernels()[0].detail or "compiled for avx" in check_kernels()[0].detail


def test_plain_kernels_are_told_to_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_compiler() is None:
        pytest.skip("there is no C compiler: sudo apt-get install -y gcc")
    monkeypatch.setenv("RNJ_ISA", "plain")
    check = check_kernels()[0]
    assert check.status == "warning"
    assert "plain C" in check.detail


def test_without_a_compiler_the_hint_installs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "/nonexistent/cc")
    check = check_kernels()[0]
    assert check.status == "warning"
    assert "several times slower" in check.detail
    assert "gcc" in check.hint


@pytest.mark.parametrize("value", ["none", "avx1024"])
def test_a_switch_that_makes_it_slow_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RNJ_ISA", value)
    (check,) = check_kernels()
    assert check.status == "warning"
    assert "RNJ_ISA" in check.detail
    assert check.hint.startswith("unset RNJ_ISA")
