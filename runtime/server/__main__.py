"""``python -m rnj_agent.runtime.server --model NAME_OR_PATH``."""

from __future__ import annotations

import sys

from rnj_agent.runtime.server.options import parse_args
from rnj_agent.runtime.server.process import serve

if __name__ == "__main__":
    sys.exit(serve(parse_args()))
