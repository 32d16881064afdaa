"""What single repositories and instances need, where an image is built: a TOML file.

    ["owner/name"]                       # all instances of a repository
    pip_packages = ["pytest<8", "numpy"] # installed first
    ["owner__name-123"]                  # one instance: these keys instead of those above
    pre_install = ["sed -i s/a/b/ setup.py"]

Commands run in /testbed, with the environment active and the network open.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.swebench.instance import Instance

_Line = Annotated[str, Field(pattern=r"^[^\r\n]+$")]


class Override(BaseModel):
    """How an image is built, in the words of SWE-bench's own specifications."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pip_packages: tuple[_Line, ...] = ("pytest", "setuptools", "wheel")
    """Requirements, installed before the repository."""
    pre_install: tuple[_Line, ...] = ()
    """Commands, run before ``install``. What they change in tracked files stays changed."""
    install: tuple[_Line, ...] = ("python -m pip install -e .",)
    """Commands that install the repository and what it depends on."""
    environment: Mapping[_Line, _Line] = Field(default_factory=dict[str, str])
    """Variables of the build and of the image."""


class Overrides:
    """Args: path: of the file; None: nothing needs anything.

    Raises:
        ConfigError: it cannot be read, or has keys that there are not.
    """

    def __init__(self, path: Path | None) -> None:
        self._tables: dict[str, dict[str, Any]] = {} if path is None else _read(path)

    def for_instance(self, instance: Instance) -> Override:
        tables = (self._tables.get(key, {}) for key in (instance.repo, instance.instance_id))
        merged: dict[str, Any] = {}
        for table in tables:
            merged |= table
        return Override.model_validate(merged)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}.") from exc
    except ValueError as exc:
        raise ConfigError(f"{path} is not TOML: {exc}.") from exc
    for key, table in tables.items():
        try:
            Override.model_validate(table)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(map(str, (key, *first["loc"])))
            raise ConfigError(f"{path}: {where}: {first['msg']}") from exc
    return tables
