"""Build the default image: from its Dockerfile, or with debootstrap where no registry answers."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import ImageMissingError
from rnj_agent.sandbox.labels import MANAGED_LABEL

if TYPE_CHECKING:
    from docker import DockerClient

Progress = Callable[[str], None]

DEFAULT_IMAGE = "rnj-agent-sandbox:1"
"""The tag is the revision of the Dockerfile: a new one is built beside the old."""
SUITE = "bookworm"
BASE_IMAGE = f"debian:{SUITE}-slim"
_CHUNK = 1 << 20


def build_image(name: str = DEFAULT_IMAGE, *, progress: Progress) -> None:
    """Build the default image and tag it ``name``.

    Raises:
        SandboxUnavailableError: no engine.
        ImageMissingError: it could not be built; the hint says what would help.
    """
    client = connect(timeout_s=1800)
    if _pull_base(client, progress):
        _build_from_dockerfile(client, name, progress)
    else:
        _build_from_debootstrap(client, name, progress)
    progress(f"built {name}")


def packages() -> list[str]:
    return _resource("packages.txt").decode().split()


def _resource(name: str) -> bytes:
    return (resources.files("rnj_agent.sandbox.images") / name).read_bytes()


def _pull_base(client: DockerClient, progress: Progress) -> bool:
    from docker.errors import APIError, ImageNotFound

    try:
        client.images.get(BASE_IMAGE)
    except ImageNotFound:
        progress(f"pulling {BASE_IMAGE}")
        try:
            client.images.pull(BASE_IMAGE)
        except APIError as exc:
            progress(f"no registry answers: {exc.explanation or exc}")
            return False
    return True


def _build_from_dockerfile(client: DockerClient, name: str, progress: Progress) -> None:
    lines = client.api.build(
        fileobj=_context(),
        custom_context=True,
        tag=name,
        buildargs={"BASE": BASE_IMAGE},
        labels={MANAGED_LABEL: "1"},
        rm=True,
        forcerm=True,
        decode=True,
    )
    for line in lines:
        if error := line.get("error"):
            raise ImageMissingError(
                f"the image {name} could not be built: {error}",
                hint="rnj-agent sandbox build    # once the network answers",
            )
        if text := str(line.get("stream", "")).strip():
            progress(text)


def _context() -> io.BytesIO:
    """The build context as a tar stream."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("Dockerfile", "packages.txt"):
            data = _resource(name)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def _build_from_debootstrap(client: DockerClient, name: str, progress: Progress) -> None:
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise ImageMissingError(
            f"the image {name} is missing, no registry answers, and making it from Debian "
            "packages needs root and debootstrap",
            hint="sudo apt-get install -y debootstrap && sudo rnj-agent sandbox build",
        )
    with tempfile.TemporaryDirectory(prefix="rnj-agent-image-") as folder:
        root = Path(folder) / "root"
        _debootstrap(root, progress)
        progress("importing the file system into the engine")
        _import(client, root, name)


def _debootstrap(root: Path, progress: Progress) -> None:
    include = f"--include={','.join(packages())}"
    argv = ["debootstrap", "--variant=minbase", include, SUITE, str(root)]
    progress(f"installing Debian {SUITE} with debootstrap: this takes a few minutes")
    last = ""
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line.strip()
            progress(last)
    if process.returncode != 0:
        raise ImageMissingError(
            f"debootstrap ended with status {process.returncode}: {last}",
            hint="check the network, then: sudo rnj-agent sandbox build",
        )


def _import(client: DockerClient, root: Path, name: str) -> None:
    repository, _, tag = name.rpartition(":")
    exclude = [f"--exclude=./{path}" for path in ("var/cache/apt/*", "var/lib/apt/lists/*")]
    argv = ["tar", "-C", str(root), "--numeric-owner", *exclude, "-c", "."]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        client.api.import_image_from_data(
            _chunks(process.stdout),
            repository=repository,
            tag=tag,
            changes=["ENV LANG=C.UTF-8", f"LABEL {MANAGED_LABEL}=1"],
        )
    if process.returncode != 0:
        raise ImageMissingError(f"packing the image failed: tar ended with {process.returncode}")


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk
