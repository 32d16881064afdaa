"""llama.cpp beside us: how it is found, asked and ended, with what its bindings answer."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rnj_agent.runtime.bench import rival, rival_server
from rnj_agent.runtime.bench.rival import RivalError, RivalOptions, find_interpreter, running_rival
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

STAND_IN = Path(__file__).with_name("stand_in_llama_cpp.py")


@pytest.fixture
def stand_in(tmp_path: Path) -> str:
    """An "interpreter" that runs the stand-in, whatever script it is given."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
    path.chmod(0o755)
    return str(path)


def options(num_slots: int = 1) -> RivalOptions:
    return RivalOptions(path=Path("m.gguf"), num_threads=2, context=64, num_slots=num_slots)


def test_the_environment_names_an_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rival.INTERPRETER_VARIABLE, "/some/python")
    assert find_interpreter() == "/some/python"
    monkeypatch.delenv(rival.INTERPRETER_VARIABLE)
    monkeypatch.setattr(rival, "BINDINGS", ("json",))
    assert find_interpreter() == sys.executable
    monkeypatch.setattr(rival, "BINDINGS", ("no_such_module",))
    assert find_interpreter() is None


def test_its_own_figures_are_taken_and_it_ends_with_the_block(stand_in: str) -> None:
    with running_rival(stand_in, options()) as running:
        assert (running.info.binding, running.info.load_s) == ("stand-in 1", 1.5)
        assert running.info.settings == "2 threads"
        (cold,) = running.generate([[1, 2, 3, 4]], num_tokens=3).replies
        assert (cold.ttft_s, cold.decode_s, cold.num_tokens) == (8.0, 2.0, 3)
        (warm,) = running.generate([[1, 2, 3, 4]], num_tokens=1).replies
        assert (warm.num_cached_tokens, warm.ttft_s) == (3, 2.0)
        pid = running.pid
    assert not Path(f"/proc/{pid}").exists()


def test_what_it_says_wrong_is_an_error(stand_in: str) -> None:
    with (
        running_rival(stand_in, options()) as running,
        pytest.raises(RivalError, match="did not answer as it should"),
    ):
        running.generate([[13]], num_tokens=1)


def test_its_last_words_are_kept_when_it_does_not_start(stand_in: str) -> None:
    with (
        pytest.raises(RivalError, match="did not start: seven slots are too many"),
        running_rival(stand_in, options(num_slots=7)),
    ):
        pass


def test_it_does_not_outlive_a_killed_benchmark(stand_in: str) -> None:
    script = f"""
import os, signal
from pathlib import Path
from rnj_agent.runtime.bench.rival import RivalOptions, running_rival
options = RivalOptions(path=Path("m.gguf"), num_threads=2, context=64)
with running_rival({stand_in!r}, options) as running:
    print(running.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False)
    pid = int(done.stdout)
    deadline = time.monotonic() + 20
    while _runs(pid):
        assert time.monotonic() < deadline, "the rival outlived its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class StandInLlama:
    """What of ``llama_cpp.Llama`` is used: it keeps the tokens of its last call."""

    def __init__(self) -> None:
        self.input_ids: list[int] = []
        self.n_tokens = 0

    def generate(self, tokens: Sequence[int], *, temp: float, reset: bool) -> Iterator[int]:
        assert (temp, reset) == (0.0, True)
        self.input_ids = [*tokens]
        self.n_tokens = len(tokens)
        while True:
            yield 5


def test_llama_cpp_python_answers_in_the_same_form() -> None:
    llama: Any = StandInLlama()
    for prompt, num_cached in (([1, 2, 3], 0), ([1, 2, 3], 2), ([1, 2, 3, 4, 5], 3)):
        request = {"prompt": prompt, "n_predict": 4}
        timings = rival_server.complete(llama, request)["timings"]
        assert (timings["cache_n"], timings["prompt_n"]) == (num_cached, len(prompt) - num_cached)
        assert timings["predicted_n"] == 4
        assert timings["predicted_ms"] >= 0


def test_the_real_one_reads_our_tiny_checkpoint_and_reuses_prefixes(tmp_path: Path) -> None:
    interpreter = find_interpreter()
    if interpreter is None:
        pytest.skip(f"no llama.cpp: pip install xllamacpp, or set {rival.INTERPRETER_VARIABLE}")
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    real = RivalOptions(path=path, num_threads=1, context=256)
    with running_rival(interpreter, real) as running:
        prompt = [40 + i % 50 for i in range(100)]
        for num_cached in (0, 99):
            (reply,) = running.generate([prompt], num_tokens=4).replies
            assert (reply.num_prompt_tokens, reply.num_cached_tokens) == (100, num_cached)
            assert reply.num_tokens == 4
            assert reply.decode_s > 0
