"""The options that say where the instances' images come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from rnj_agent.agent.swebench.attempt_spec import ImageSettings

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True)
_FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True)


def image_options(command: _Command) -> _Command:
    """``image``, ``build``, ``build_from``, ``repo_mirror`` and ``build_overrides``."""
    for option in (
        click.option(
            "--build-overrides", type=_FILE, metavar="FILE", help="TOML: what single ones need."
        ),
        click.option(
            "--repo-mirror",
            type=_FOLDER,
            metavar="DIR",
            help="Bare clones, where no forge answers.",
        ),
        click.option(
            "--build-from", type=_FILE, metavar="FILE", help="A Dockerfile template of your own."
        ),
        click.option(
            "--build", is_flag=True, help="Build the images here instead of pulling them."
        ),
        click.option(
            "--image",
            metavar="TEMPLATE",
            help="Name of the images to pull, such as registry/{id_}:latest.  [default: the row's]",
        ),
    ):
        command = option(command)
    return command


def image_settings(
    *,
    image: str | None,
    build: bool,
    build_from: Path | None,
    repo_mirror: Path | None,
    build_overrides: Path | None,
) -> ImageSettings | None:
    """None where no option is given."""
    from rnj_agent.agent.swebench.attempt_spec import ImageSettings

    files = (build_from, repo_mirror, build_overrides)
    if image is not None and (build or any(files)):
        raise click.UsageError("--image names what is pulled: it does not go with --build.")
    if image is None and not build and not any(files):
        return None
    return ImageSettings(
        template=image or "",
        build=image is None,
        build_from=build_from,
        repo_mirror=repo_mirror,
        build_overrides=build_overrides,
    )
