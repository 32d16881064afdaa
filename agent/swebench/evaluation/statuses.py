"""One status a test, out of a log of any repository: pytest's are read here, others by the harness.

The harness's parsers run in a process of their own: importing them takes seconds, reads ``.env``
files, and some of their expressions take forever on a log that means harm.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.util import find_spec
from typing import Final

from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.swebench.evaluation.pytest_log import READINGS, Statuses
from rnj_agent.agent.swebench.instance import Instance

HARNESS_HINT: Final = "pip install 'rnj-agent[swebench]'"
PARSE_TIMEOUT_S: Final = 120.0
_PREFIX: Final = "parse_log_"
_BY_REPOSITORY: Final = {
    "astropy/astropy": "astropy",
    "marshmallow-code/marshmallow": "marshmallow",
    "pallets/flask": "flask",
    "psf/requests": "requests",
    "pvlib/pvlib-python": "pvlib",
    "pydata/xarray": "xarray",
    "pydicom/pydicom": "pydicom",
    "pylint-dev/astroid": "astroid",
    "pylint-dev/pylint": "pylint",
    "pyvista/pyvista": "pyvista",
    "scikit-learn/scikit-learn": "scikit",
    "sqlfluff/sqlfluff": "sqlfluff",
}
"""For rows without a ``log_parser``; what is not here is read as plain pytest."""
_FOREIGN: Final = """
import json, sys
from swebench.harness.log_parsers import PARSER_REGISTRY
parse = PARSER_REGISTRY.get(sys.argv[1])
json.dump(None if parse is None else parse(sys.stdin.read(), None), sys.stdout)
"""


class UnreadLogError(RnjError):
    """No parser here reads this repository's test output."""


def parser_name(instance: Instance) -> str:
    """Without the ``parse_log_`` of the rows."""
    named = instance.log_parser.removeprefix(_PREFIX)
    return named or _BY_REPOSITORY.get(instance.repo, "pytest")


async def read_statuses(log: str, parser: str) -> Statuses:
    """The tests' status, by name.

    Args:
        log: what the tests printed.
        parser: see ``parser_name``.

    Raises:
        UnreadLogError: nothing here reads such a log, or not in time.
    """
    reading = READINGS.get(parser)
    if reading is not None:
        return await asyncio.to_thread(reading, log)
    if find_spec("swebench") is None:
        raise UnreadLogError(
            f"the tests' output needs the harness's parser {parser!r}, which is not installed",
            hint=HARNESS_HINT,
        )
    return await _read_foreign(log, parser)


async def _read_foreign(log: str, parser: str) -> Statuses:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _FOREIGN, _PREFIX + parser),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told = log.encode("utf-8", "replace")
        async with asyncio.timeout(PARSE_TIMEOUT_S):
            stdout, stderr = await process.communicate(told)
    except TimeoutError as exc:
        raise UnreadLogError(f"{parser!r} reads for more than {PARSE_TIMEOUT_S:.0f} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        raise UnreadLogError(f"the harness's parser {parser!r} failed: {last}")
    statuses: Statuses | None = json.loads(stdout)
    if statuses is None:
        raise UnreadLogError(f"the harness has no parser {parser!r}")
    return statuses
