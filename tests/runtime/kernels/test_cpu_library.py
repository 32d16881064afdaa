from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.kernels.cpu import library_cache
from rnj_agent.runtime.kernels.cpu.compiler import CompilerError, find_compiler
from rnj_agent.runtime.kernels.cpu.isa import Isa, best_isa, chosen_isa, cpu_flags
from rnj_agent.runtime.kernels.cpu.library import (
    Kernels,
    kernels,
    kernels_status,
    open_kernels,
    slower_notice,
)
from rnj_agent.runtime.kernels.cpu.library_cache import open_library
from rnj_agent.runtime.kernels.cpu.prebuild import prebuild
from tests.runtime.kernels.cpu_isas import ISAS, kernels_or_skip

needs_compiler = pytest.mark.skipif(
    find_compiler() is None, reason="there is no C compiler: sudo apt-get install -y gcc"
)
OPEN_LIBRARY = """
from rnj_agent.runtime.kernels.cpu.library_cache import open_library
open_library("plain")
"""


def marks(opened: Kernels, num_parts: int, num_threads: int) -> torch.Tensor:
    """How often each part was done."""
    counts = torch.zeros(num_parts, dtype=torch.uint8)
    mark = opened.function("rnj_mark_parts", ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
    mark(counts.data_ptr(), num_parts, num_threads)
    return counts


@pytest.fixture
def asks_anew() -> Iterator[None]:
    """What the process found out about its kernels is forgotten, before and after."""
    kernels_status.cache_clear()
    open_kernels.cache_clear()
    yield
    kernels_status.cache_clear()
    open_kernels.cache_clear()


@pytest.mark.parametrize("isa", ISAS)
def test_every_part_is_done_once(isa: Isa) -> None:
    opened = kernels_or_skip(isa)
    for num_threads in (1, 2, 3, 64, 2, 64):
        for num_parts in (0, 1, 2, 7, 300):
            assert (marks(opened, num_parts, num_threads) == 1).all()


def test_threads_may_ask_for_work_at_the_same_time() -> None:
    opened = kernels_or_skip("plain")
    with ThreadPoolExecutor(4) as callers:
        counts = list(callers.map(partial(marks, opened, 50), [3] * 200))
    assert all((count == 1).all() for count in counts)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what it says is tested here
def test_a_forked_process_has_threads_of_its_own() -> None:
    opened = kernels_or_skip("plain")
    assert (marks(opened, 50, 3) == 1).all()
    child = os.fork()
    if child == 0:
        os._exit(0 if (marks(opened, 50, 3) == 1).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_best_instruction_set_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNJ_ISA", raising=False)
    assert chosen_isa() == best_isa(cpu_flags())
    assert best_isa(frozenset()) == "plain"
    assert best_isa(frozenset(("avx2", "fma", "f16c", "avx512f"))) == "avx2"
    monkeypatch.setenv("RNJ_ISA", "plain")
    assert chosen_isa() == "plain"
    monkeypatch.setenv("RNJ_ISA", "none")
    assert chosen_isa() is None


def test_an_unknown_instruction_set_is_an_error_that_names_the_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RNJ_ISA", "avx1024")
    with pytest.raises(EngineError, match="avx1024") as caught:
        chosen_isa()
    assert "avx512, avx2, plain, none" in caught.value.hint


@pytest.fixture
def quick_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not optimise: what it builds is thrown away."""
    compiler = tmp_path / "quick-cc"
    compiler.write_text('#!/bin/sh\nexec cc "$@" -O0\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))


@needs_compiler
@pytest.mark.usefixtures("quick_compiler")
def test_two_processes_build_one_library(tmp_path: Path) -> None:
    environment = {**os.environ, "RNJ_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN_LIBRARY], env=environment) for _ in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(list((tmp_path / "kernels").glob("*.so"))) == 1
    assert not list((tmp_path / "kernels").glob("*.partial"))


@needs_compiler
@pytest.mark.usefixtures("quick_compiler")
def test_builds_of_long_ago_go_when_a_new_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    folder = tmp_path / "kernels"
    folder.mkdir()
    old, recent = folder / "old.so", folder / "recent.so"
    for path in (old, recent):
        path.touch()
    os.utime(old, (0, 0))
    open_library("plain")
    assert not old.exists()
    assert recent.exists()


@needs_compiler
@pytest.mark.usefixtures("quick_compiler")
def test_a_folder_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kernels").write_text("a file where the folder should be: root may write anywhere")
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    opened = Kernels(isa="plain", library=open_library("plain"))
    assert (marks(opened, 5, 1) == 1).all()


@pytest.mark.usefixtures("asks_anew")
def test_without_a_compiler_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "/nonexistent/cc")
    assert kernels() is None
    notice = slower_notice()
    assert notice
    assert "several times slower: there is no C compiler" in notice
    assert "install -y gcc" in notice


@needs_compiler
@pytest.mark.usefixtures("quick_compiler")
def test_a_library_that_was_built_earlier_serves_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    open_library("plain")
    monkeypatch.setenv("CC", "/nonexistent/cc")
    open_library("plain")
    with pytest.raises(CompilerError, match="no C compiler"):
        open_library("avx2")


@needs_compiler
def test_a_failing_compiler_is_told_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cc"
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo brokencc 1.0 && exit\n'
        "echo 'x.c:1: error: no such header' >&2; exit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(CompilerError, match=r"brokencc 1\.0 .*no such header"):
        open_library("plain")


@needs_compiler
def test_libraries_that_were_built_ahead_need_no_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prebuild(tmp_path)
    assert sorted(path.name.rpartition("-")[2] for path in tmp_path.iterdir()) == [
        "avx2.so",
        "avx512.so",
        "plain.so",
    ]
    monkeypatch.setattr(library_cache, "PREBUILT", tmp_path)
    monkeypatch.setenv("CC", "/no/such/compiler")
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "none"))
    assert open_library("plain").rnj_mark_parts
    assert not (tmp_path / "none").exists()
