"""What an image is built from: a Dockerfile from its template, and the name that follows from it.

The name ends with a digest of all that the image depends on, so that another template, override
or row is another image, and the same one is built once.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.swebench.images.overrides import Override
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

DEFAULT_TEMPLATE: Final = "Dockerfile.j2"
_CONTEXT: Final = ("conda.sh", "activate", "pip-offline.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    name: str
    """Of the image: ``rnj-swebench/<id>:<digest>``."""
    dockerfile: str
    files: Mapping[str, bytes]
    """What lies beside it in the build, by path; the repository and pip's settings come on top."""


def read_template(path: Path | None) -> str:
    """The text of a template; None: the one that ships.

    Raises:
        ConfigError: it cannot be read.
    """
    if path is None:
        return _shipped(DEFAULT_TEMPLATE).decode()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"The Dockerfile template {path} cannot be read: {exc}.") from exc


def make_recipe(template: str, instance: Instance, override: Override) -> Recipe:
    """Render the template.

    Args:
        template: jinja2. ``instance`` and ``override`` are there, ``base_image`` is the name of
            the sandbox's own image, and the filter ``sh`` quotes for a shell.
        instance: what for.
        override: what it needs.

    Raises:
        ConfigError: the template is malformed, or names what there is not.
    """
    from jinja2 import Environment, StrictUndefined, TemplateError

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["sh"] = shlex.quote
    try:
        dockerfile = environment.from_string(template).render(
            instance=instance, override=override, base_image=DEFAULT_IMAGE
        )
    except TemplateError as exc:
        raise ConfigError(f"The Dockerfile template is malformed: {exc}.") from exc
    files = {name: _shipped(name) for name in _CONTEXT}
    digest = hashlib.sha256(dockerfile.encode())
    for name, data in files.items():
        digest.update(name.encode() + b"\0" + data + b"\0")
    name = f"rnj-swebench/{_image_path(instance.instance_id)}:{digest.hexdigest()[:12]}"
    return Recipe(name=name, dockerfile=dockerfile, files=files)


def _image_path(instance_id: str) -> str:
    """The id as engines allow it in a name: lower case, only their separators."""

    def separator(found: re.Match[str]) -> str:
        allowed = found[0] in {".", "_", "__"} or set(found[0]) == {"-"}
        return found[0] if allowed else "-"

    return re.sub(r"[^a-z0-9]+", separator, instance_id.lower()).strip("._-")


@cache
def _shipped(name: str) -> bytes:
    return (resources.files("rnj_agent.agent.swebench.images") / "context" / name).read_bytes()
