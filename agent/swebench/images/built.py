"""Images built here, from a Dockerfile template and one commit of the repository.

Covered: repositories whose dependencies pip installs on the base image's Python; any other with a
template of one's own. Not covered: submodules and LFS files, which a clone does not hold.
"""

from __future__ import annotations

import asyncio
import errno
import io
import tarfile
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final

from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.images.mirror import pack_commit, repository_url
from rnj_agent.agent.swebench.images.overrides import Overrides
from rnj_agent.agent.swebench.images.pip_settings import CERTIFICATES, host_pip_settings
from rnj_agent.agent.swebench.images.recipe import Recipe, make_recipe, read_template
from rnj_agent.agent.swebench.images.shared_work import SharedWork
from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.sandbox.errors import DiskFullError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE, build_image
from rnj_agent.sandbox.images.context_build import build_from_context, has_image

INSTANCE_LABEL: Final = "dev.rnj-agent.swebench.instance"
NUM_BUILDS: Final = 2
"""At the same time."""
_PIP_FOLDER: Final = "/rnj/pip"


class BuiltImages:
    """Implements ``ImageSource``.

    Args:
        template: a Dockerfile in jinja2 over the instance; None: the one that ships.
        repo_mirror: a folder of bare clones; None: from the forge.
        overrides: a TOML file of what single repositories or instances need; None: nothing.

    Raises:
        ConfigError: one of the files cannot be read.
    """

    def __init__(
        self,
        *,
        template: Path | None = None,
        repo_mirror: Path | None = None,
        overrides: Path | None = None,
    ) -> None:
        self._template = read_template(template)
        self._mirror = repo_mirror
        self._overrides = Overrides(overrides)
        self._work = SharedWork(NUM_BUILDS)

    def recipe_of(self, instance: Instance) -> Recipe:
        """What is built for an instance.

        Raises:
            ConfigError: the template is malformed.
        """
        return make_recipe(self._template, instance, self._overrides.for_instance(instance))

    async def ensure(self, instance: Instance, say: Say) -> str:
        recipe = self.recipe_of(instance)
        if not await asyncio.to_thread(has_image, recipe.name):
            await self._ensure_base(recipe, say)
            say(Notice(level="info", text=f"building {recipe.name}"))
            await self._work.do(recipe.name, say, partial(self._build, instance, recipe))
        return recipe.name

    async def _ensure_base(self, recipe: Recipe, say: Say) -> None:
        """The sandbox's own image, where the build stands on it."""
        if DEFAULT_IMAGE not in recipe.dockerfile or await asyncio.to_thread(
            has_image, DEFAULT_IMAGE
        ):
            return
        say(Notice(level="info", text=f"the image {DEFAULT_IMAGE} is missing: building it, once"))
        await self._work.do(DEFAULT_IMAGE, say, _build_base)

    def _build(self, instance: Instance, recipe: Recipe, say: Say, stop: threading.Event) -> None:
        def progress(line: str) -> None:
            if line.startswith("Step "):
                say(Notice(level="info", text=f"building {recipe.name}: {line}"))

        with (
            _full_disk_named(),
            tempfile.TemporaryDirectory(prefix="rnj-agent-swebench-") as folder,
        ):
            repository = Path(folder) / "repository.tar"
            url = repository_url(instance.repo, self._mirror)
            pack_commit(url, instance.base_commit, repository)
            with (Path(folder) / "context.tar").open("w+b") as context:
                write_context(recipe, repository, context)
                context.seek(0)
                build_from_context(
                    recipe.name,
                    context,
                    labels={INSTANCE_LABEL: instance.instance_id},
                    progress=progress,
                    stop=stop,
                )


def _build_base(say: Say, stop: threading.Event) -> None:
    build_image(progress=lambda line: say(Notice(level="info", text=f"{DEFAULT_IMAGE}: {line}")))


@contextmanager
def _full_disk_named() -> Generator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        folder = tempfile.gettempdir()
        raise DiskFullError(f"no room to build in {folder}: {exc}", hint=f"df -h {folder}") from exc


def write_context(recipe: Recipe, repository: Path, context: IO[bytes]) -> None:
    """Write what a build sees, as a tar stream."""
    pip = host_pip_settings(_PIP_FOLDER)
    files = {
        "Dockerfile": recipe.dockerfile.encode(),
        "pip/pip.conf": pip.config.encode(),
        **({f"pip/{CERTIFICATES}": pip.certificates} if pip.certificates else {}),
        **recipe.files,
    }
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, data in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
        archive.add(repository, "repository.tar")
