"""Build the image of the other languages: the default one with their compilers, from Debian.

    python -m benchmarks.resolve.languages.image

It has 1.9 GB. In it, each repository must fail its test, and pass it with its ``fix.patch``.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tarfile
import threading
from typing import IO, Final

from benchmarks.resolve.grade import open_judge
from benchmarks.resolve.languages import FOLDER, IMAGE, other_languages
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE
from rnj_agent.sandbox.images.context_build import build_from_context
from rnj_agent.sandbox.labels import MANAGED_LABEL

_DOCKERFILE: Final = f"""FROM {DEFAULT_IMAGE}
RUN apt-get update \\
 && apt-get install -y --no-install-recommends cargo golang-go nodejs rustc \\
 && rm -rf /var/lib/apt/lists/*
"""


def main() -> int:
    build_from_context(
        IMAGE, _context(), labels={MANAGED_LABEL: "1"}, progress=print, stop=threading.Event()
    )
    return asyncio.run(_check())


async def _check() -> int:
    """The number of repositories that do not show their bug."""
    num_bad = 0
    async with open_judge(IMAGE) as judge:
        for task in other_languages():
            fix = (FOLDER / task.id / "fix.patch").read_text(encoding="utf-8")
            before, after = await judge.resolves(task, ""), await judge.resolves(task, fix)
            print(f"{task.id}: {_said(before)} as it is, {_said(after)} with its fix")
            num_bad += before or not after
    return num_bad


def _said(passes: bool) -> str:
    return "passes" if passes else "fails"


def _context() -> IO[bytes]:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(_DOCKERFILE)
        archive.addfile(member, io.BytesIO(_DOCKERFILE.encode()))
    data.seek(0)
    return data


if __name__ == "__main__":
    sys.exit(main())
