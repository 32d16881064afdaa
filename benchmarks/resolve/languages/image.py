"""Build the image of the other languages: the default one with their compilers, from Debian.

python -m benchmarks.resolve.languages.image
"""

from __future__ import annotations

import io
import tarfile
import threading
from typing import IO, Final

from benchmarks.resolve.languages import IMAGE
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE
from rnj_agent.sandbox.images.context_build import build_from_context
from rnj_agent.sandbox.labels import MANAGED_LABEL

_DOCKERFILE: Final = f"""FROM {DEFAULT_IMAGE}
RUN apt-get update \\
 && apt-get install -y --no-install-recommends cargo golang-go nodejs rustc \\
 && rm -rf /var/lib/apt/lists/*
"""


def main() -> None:
    build_from_context(
        IMAGE, _context(), labels={MANAGED_LABEL: "1"}, progress=print, stop=threading.Event()
    )


def _context() -> IO[bytes]:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(_DOCKERFILE)
        archive.addfile(member, io.BytesIO(_DOCKERFILE.encode()))
    data.seek(0)
    return data


if __name__ == "__main__":
    main()
