"""Several builds of llama.cpp, each with flash attention on and off, loaded side by side."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from bars import Bar

from rnj_agent.runtime.bench.rival import FlashAttention, Rival, RivalOptions, running_rival
from rnj_agent.runtime.bench.this_machine import peak_memory_bytes
from rnj_agent.runtime.machine import num_physical_cores

_FLASH: tuple[FlashAttention, ...] = ("on", "off")
_GIB = 2**30


class RivalFleet:
    """Args: interpreters: of Python, each with a binding of llama.cpp; path: of a GGUF file."""

    def __init__(self, interpreters: Sequence[str], path: Path, *, context: int) -> None:
        self._interpreters = interpreters
        self._path = path
        self._context = context
        self._running: dict[str, Rival] = {}

    @contextlib.contextmanager
    def running(self, say: Callable[[str], None]) -> Generator[dict[str, Rival], None, None]:
        """By name, such as ``xllamacpp 2026.10, flash on``.

        Raises:
            RivalError: one does not start.
        """
        with contextlib.ExitStack() as stack:
            for interpreter in self._interpreters:
                for flash in _FLASH:
                    rival = stack.enter_context(running_rival(interpreter, self._options(flash)))
                    name = f"{rival.info.binding}, flash {flash}"
                    say(f"{name}: loaded in {rival.info.load_s:.1f} s; {rival.info.settings}")
                    self._running[name] = rival
            yield self._running

    def memory_bars(self, *, at_most: float) -> list[Bar]:
        """Peak resident memory of this process against each rival's; while they run."""
        ours = peak_memory_bytes(os.getpid())
        bars: list[Bar] = []
        for name, rival in self._running.items():
            theirs = peak_memory_bytes(rival.pid)
            if ours is None or theirs is None:
                continue
            bars.append(
                Bar(
                    name=f"peak memory, ours / {name}",
                    values=(ours / theirs,),
                    at_most=at_most,
                    detail=f"{ours / _GIB:.2f} and {theirs / _GIB:.2f} GiB",
                )
            )
        return bars

    def _options(self, flash: FlashAttention) -> RivalOptions:
        return RivalOptions(
            path=self._path,
            num_threads=num_physical_cores(),
            context=self._context,
            flash_attention=flash,
        )
