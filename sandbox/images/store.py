"""List and remove what this program keeps in the Docker engine and on disk."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE
from rnj_agent.sandbox.labels import MANAGED_LABEL
from rnj_agent.sandbox.sweep import sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    name: str
    """Repository and tag, or the id where it has neither any more."""
    size_bytes: int
    created_at: str
    """ISO 8601, as the engine says it."""
    is_default: bool
    """Whether this version of the program uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    num_left_behind: int
    """Containers and directories of runs that died."""
    images: tuple[str, ...]


def list_images() -> list[Image]:
    """Images that this program built.

    Raises:
        SandboxUnavailableError: no engine answers.
    """
    client = connect()
    try:
        images = client.images.list(filters={"label": f"{MANAGED_LABEL}=1"})
        return [
            Image(
                name=name,
                size_bytes=int(image.attrs["Size"]),
                created_at=str(image.attrs["Created"]),
                is_default=name == DEFAULT_IMAGE,
            )
            for image in images
            for name in (image.tags or [str(image.id)])
        ]
    finally:
        client.close()


def prune(*, keep_default: bool = True) -> Pruned:
    """Remove what dead runs left, and our images: old ones, or all.

    Raises:
        SandboxUnavailableError: no engine answers; directories are swept all the same.
    """
    from docker.errors import APIError

    num_left_behind = sweep()
    removed: list[str] = []
    client = connect()
    try:
        for image in list_images():
            if image.is_default and keep_default:
                continue
            try:
                client.images.remove(image.name)
            except APIError:
                continue  # a container still uses it
            removed.append(image.name)
    finally:
        client.close()
    return Pruned(num_left_behind=num_left_behind, images=tuple(removed))
