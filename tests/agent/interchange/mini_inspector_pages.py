"""Prints what mini-SWE-agent's inspector shows of a trajectory: run by a Python that has it."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from textual.widgets import Static


async def pages(file: Path) -> list[str]:
    inspector = importlib.import_module("minisweagent.run.utilities.inspector")
    app: Any = inspector.TrajectoryInspector([file])
    shown: list[str] = []
    async with app.run_test(size=(120, 40)) as pilot:
        for _ in range(app.n_steps):
            await pilot.pause()
            shown.append("\n".join(str(part.content) for part in app.query(Static)))
            await pilot.press("l")
    return shown


if __name__ == "__main__":
    print(json.dumps(asyncio.run(pages(Path(sys.argv[1])))))
