"""Running a command's coroutine so that being told to stop still cleans up.

Ctrl-C, SIGTERM and a closed terminal cancel it: every ``finally`` runs, so no container, process
or half-written file is left. A second Ctrl-C does not wait for that.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_async(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end, on an event loop of its own.

    Raises:
        KeyboardInterrupt: it was told to stop, and has cleaned up.
    """
    # asyncio.Runner turns SIGINT into a cancellation of the main task by itself.
    with asyncio.Runner() as runner:
        return runner.run(_stop_on_signals(coroutine))


async def _stop_on_signals(coroutine: Coroutine[Any, Any, _T]) -> _T:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    # What nohup made us ignore stays ignored.
    stops = (signal.SIGTERM, signal.SIGHUP)
    handled = [number for number in stops if signal.getsignal(number) is not signal.SIG_IGN]
    for number in handled:
        loop.add_signal_handler(number, stop)
    try:
        return await coroutine
    except asyncio.CancelledError:
        if stopped:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
