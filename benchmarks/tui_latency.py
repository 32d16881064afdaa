"""Measure how long a key takes to the screen while a model streams and a command floods.

    python benchmarks/tui_latency.py [--keys 100]

The app in a real pseudo-terminal of 120 x 40, on a session that writes 300 pieces of Markdown and
5 MB of output a second, a new command twice a second, so that reply and command are both in view
and blocks end as well. Keys are pressed a twentieth of a second apart; the time is from the key to
the bytes that paint its letter. The bar: p95 <= 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tui_terminal import Terminal

from rnj_agent.agent.events import (
    Event,
    MessageFinished,
    RunStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
)
from rnj_agent.agent.live.session import LiveSession, OnStatus
from rnj_agent.agent.live.status import Status
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.modes import Ask

TOKENS_PER_S = 300
OUTPUT_BYTES_PER_S = 5_000_000
TICKS_PER_S = 100
TICKS_PER_STEP = 50
KEY_EVERY_S = 0.05
LETTERS = [chr(code) for code in range(0x3B1, 0x3C9)] + [chr(code) for code in range(0x430, 0x450)]
"""That nothing else on the screen is written with."""
SENTENCE = "The *function* `parse` reads every line twice, so it is slow.\n\n"
WORDS = [f"{word} " for word in SENTENCE.split(" ")]
LINE = "tests/test_app.py::test_parse \x1b[32mPASSED\x1b[0m [ 50%]\n"


class BusySession(LiveSession):
    """A reply and a command's output that never end; of the contract only what is shown."""

    def __init__(self) -> None:
        self._status = Status(phase="working", mode="yolo", session_id="busy", cwd="/repo")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is held."""

    async def events(self, *, past: bool = True) -> AsyncGenerator[Event]:
        flood = LINE * (OUTPUT_BYTES_PER_S // TICKS_PER_S // len(LINE))
        yield started()
        tick, began_s = 0, time.monotonic()
        while True:
            if tick % TICKS_PER_STEP == 0:
                for event in next_step(tick // TICKS_PER_STEP):
                    yield event
            tick += 1
            yield ToolOutputDelta(call_id=f"c{(tick - 1) // TICKS_PER_STEP}", text=flood)
            for piece in range(TOKENS_PER_S // TICKS_PER_S):
                yield TextDelta(text=WORDS[(3 * tick + piece) % len(WORDS)])
            await asyncio.sleep(max(0.0, began_s + tick / TICKS_PER_S - time.monotonic()))


def next_step(number: int) -> Iterator[Event]:
    """The reply ends, and so does the command; another one begins. Both stay in view."""
    if number:
        yield MessageFinished(message=AssistantMessage(content="", tool_calls=()))
        yield ToolCallFinished(call_id=f"c{number - 1}", content="", is_error=False, exit_code=0)
    call = ToolCall(id=f"c{number}", name="bash", arguments='{"command": "yes"}')
    yield ToolCallStarted(call=call)


def started() -> RunStarted:
    return RunStarted(
        session_id="busy",
        task="Flood me.",
        cwd="/repo",
        model="scripted",
        endpoint="scripted://",
        context_window=32_768,
        protocol="tools",
        sandbox="bubblewrap",
        started_at="2026-11-22T10:00:00+00:00",
        version="0",
    )


@dataclass(frozen=True, slots=True)
class BusyOpener:
    repository: Path

    def open(self, name: str, ask: Ask, on_status: OnStatus) -> LiveSession:
        return BusySession()

    def use_model(self, endpoint: str, name: str) -> None:
        """There is none."""


def run_app() -> None:
    from rnj_agent.agent.tui.collector import pause_collector
    from rnj_agent.agent.tui.frame_rate import quicken_paints

    pause_collector()  # as the command does
    quicken_paints()
    from rnj_agent.agent.tui.app import RnjApp

    RnjApp(opener=BusyOpener(Path.cwd())).run()


def measure(num_keys: int) -> list[float]:
    """Milliseconds of each key."""
    took_ms: list[float] = []
    with Terminal([str(Path(__file__).resolve()), "--app"]) as terminal:
        terminal.wait_for("twice", within_s=60)
        terminal.drain(2.0)
        for number in range(num_keys):
            letter = LETTERS[number % len(LETTERS)]
            terminal.send(letter)
            took_ms.append(terminal.wait_for(letter, within_s=10) * 1000)
            terminal.drain(KEY_EVERY_S)
            if number % 40 == 39:
                terminal.send("\x03")  # clears the prompt
                terminal.drain(0.3)
        print(f"painted     {terminal.num_bytes / 1e6:.1f} MB")
        print(f"peak memory {terminal.peak_rss_mib():.0f} MiB")
    return took_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--app", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.app:
        run_app()
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RNJ_STATE"] = folder
        took_ms = measure(arguments.keys)
    percentiles = statistics.quantiles(took_ms, n=20)
    print(f"keys        {len(took_ms)}")
    print(f"p50         {statistics.median(took_ms):.1f} ms")
    print(f"p95         {percentiles[18]:.1f} ms")
    print(f"worst       {max(took_ms):.1f} ms")


if __name__ == "__main__":
    main()
