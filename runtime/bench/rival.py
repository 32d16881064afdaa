"""llama.cpp beside us, where a Python binding of it is installed: found, started, asked, ended.

It runs in a child process (``rival_server.py``), so that its threads and ours never share one, and
is asked over HTTP. Its figures are those that llama.cpp itself states in each answer, without
HTTP; where several replies run at once, the wall time until the last answer has arrived.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx
from pydantic import BaseModel

from rnj_agent.runtime.bench.contestant import ReplyTiming, Round
from rnj_agent.runtime.errors import RnjRuntimeError

INTERPRETER_VARIABLE = "RNJ_BENCH_RIVAL_PYTHON"
"""Names a Python that has a binding, where ours should not."""
BINDINGS = ("xllamacpp", "llama_cpp")
_ANSWER_TIMEOUT_S = 900.0
_END_TIMEOUT_S = 10.0


FlashAttention: TypeAlias = Literal["auto", "on", "off"]


class RivalError(RnjRuntimeError):
    """The rival did not start or did not answer; the measurement goes on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalOptions:
    path: Path
    num_threads: int
    context: int
    """Tokens of each slot."""
    num_slots: int = 1
    flash_attention: FlashAttention = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalInfo:
    binding: str
    """Package and version."""
    settings: str
    load_s: float


def find_interpreter() -> str | None:
    """A Python that has a binding of llama.cpp: the one of the environment variable, else ours."""
    if named := os.environ.get(INTERPRETER_VARIABLE):
        return named
    has_binding = any(importlib.util.find_spec(name) is not None for name in BINDINGS)
    return sys.executable if has_binding else None


class _Timings(BaseModel):
    """What llama.cpp states of a reply; milliseconds."""

    cache_n: int
    prompt_n: int
    prompt_ms: float
    predicted_n: int
    predicted_ms: float


class Rival:
    """A running llama.cpp; a ``Contestant``.

    Attributes:
        info: what was started, and how.
        pid: of its process.
        url: of its server.
    """

    def __init__(self, url: str, info: RivalInfo, pid: int) -> None:
        self.info = info
        self.pid = pid
        self.url = url
        # no proxy between two processes of one machine, and plain HTTP: no certificates to read
        self._client = httpx.Client(
            base_url=url, trust_env=False, verify=False, timeout=_ANSWER_TIMEOUT_S
        )

    def generate(self, prompts: Sequence[Sequence[int]], *, num_tokens: int) -> Round:
        """Prompt i goes to slot i, which still holds what it was asked last.

        Raises:
            RivalError: it did not answer, or not in llama.cpp's form.
        """
        begun = time.perf_counter()

        def complete(slot: int) -> ReplyTiming:
            timings = self._complete(slot, prompts[slot], num_tokens)
            return _reply_timing(timings, ended_s=time.perf_counter() - begun)

        with ThreadPoolExecutor(len(prompts)) as pool:
            return Round(replies=tuple(pool.map(complete, range(len(prompts)))))

    def close(self) -> None:
        self._client.close()

    def _complete(self, slot: int, prompt_ids: Sequence[int], num_tokens: int) -> _Timings:
        body = {
            "prompt": list(prompt_ids),
            "n_predict": num_tokens,
            "temperature": 0.0,
            "ignore_eos": True,
            "cache_prompt": True,
            "id_slot": slot,
        }
        try:
            response = self._client.post("/completion", json=body)
            return _Timings.model_validate(response.json()["timings"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
            raise RivalError(f"llama.cpp did not answer as it should: {exc!r}") from exc


@contextlib.contextmanager
def running_rival(interpreter: str, options: RivalOptions) -> Generator[Rival, None, None]:
    """Start llama.cpp, and end it when the block is left.

    Raises:
        RivalError: it does not load this file, or has gone; with its last words.
    """
    with tempfile.TemporaryFile() as log:
        child = _spawn(interpreter, options, log.fileno())
        try:
            rival = _connect(child)
        except (ValueError, KeyError) as exc:
            _end(child)
            log.seek(0)
            lines = log.read().decode(errors="replace").split("\n")
            words = next((line.strip() for line in reversed(lines) if line.strip()), "no word")
            raise RivalError(f"llama.cpp did not start: {words}") from exc
        try:
            yield rival
        finally:
            rival.close()
            _end(child)


def _spawn(interpreter: str, options: RivalOptions, log: int) -> subprocess.Popen[str]:
    arguments = {
        "path": str(options.path),
        "num_threads": options.num_threads,
        "context": options.context,
        "num_slots": options.num_slots,
        "flash_attention": options.flash_attention,
    }
    # ours was set for torch's threads (calm_worker_threads); llama.cpp's are to spin as they like
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    argv = [interpreter, str(Path(__file__).with_name("rival_server.py")), json.dumps(arguments)]
    try:
        return subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    except OSError as exc:
        raise RivalError(f"llama.cpp did not start: {interpreter}: {exc.strerror or exc}") from exc


def _connect(child: subprocess.Popen[str]) -> Rival:
    """Wait for the child's one line, which may come after other words of the library."""
    assert child.stdout is not None
    line = next((line for line in child.stdout if line.startswith('{"url"')), "")
    facts: dict[str, Any] = json.loads(line)
    info = RivalInfo(binding=facts["binding"], settings=facts["settings"], load_s=facts["load_s"])
    return Rival(facts["url"], info, child.pid)


def _end(child: subprocess.Popen[str]) -> None:
    """Its stdin closes, and it ends by itself; if not, it is killed."""
    with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
        child.communicate(timeout=_END_TIMEOUT_S)
    child.kill()
    child.wait()


def _reply_timing(timings: _Timings, *, ended_s: float) -> ReplyTiming:
    return ReplyTiming(
        num_prompt_tokens=timings.cache_n + timings.prompt_n,
        num_cached_tokens=timings.cache_n,
        num_tokens=timings.predicted_n,
        ttft_s=timings.prompt_ms / 1000,
        decode_s=timings.predicted_ms / 1000,
        ended_s=ended_s,
    )
