"""Measure everything that needs a GPU, in one command.

    python benchmarks/gpu/programme.py --out DIR [--only STEP ...] [--minutes 9] [--dry-run]

Runs from a plain copy of the repository, with nothing of it installed: torch, triton, transformers,
safetensors, numpy and pytest are enough. Steps run in order of worth, each in a process of its own
and with a time limit, so that none can stop the others. After each step DIR/results.json and
DIR/summary.md say all that is known; DIR/log.txt has what the steps said. Exits with 1 where a step
failed or a bar was missed.

--dry-run: the whole programme with tiny shapes, on a CPU, so that no typo wastes a card.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Start the driver with the repository on its path; its steps inherit that."""
    paths = [str(ROOT / ".dev"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
    }
    argv = [sys.executable, "-m", "benchmarks.gpu.driver", *sys.argv[1:]]
    return subprocess.run(argv, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
