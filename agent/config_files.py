"""Config files: found, read as TOML and flattened to settings that know their line.

Values are not judged here, only keys' places in the file.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import platformdirs

from rnj_agent.agent.config_keys import ENDPOINTS, Key
from rnj_agent.agent.errors import ConfigError

REPOSITORY_FILE: Final = Path(".rnj") / "config.toml"

_MAX_BYTES: Final = 1024**2
"""A config file above this is not one (and a repository may hold anything)."""

_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_ASSIGNMENT = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*'|\s*\.\s*)+?)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    key: Key
    value: object
    origin: str
    """For messages: a file and line, a variable, or the command line."""


def user_config_file() -> Path:
    return platformdirs.user_config_path("rnj-agent") / "config.toml"


def find_repository_file(directory: Path) -> Path | None:
    """The nearest ``.rnj/config.toml``, from ``directory`` up to the root of its repository."""
    for folder in (directory, *directory.parents):
        candidate = folder / REPOSITORY_FILE
        if candidate.is_file():
            return candidate
        if (folder / ".git").exists():
            return None
    return None


def read_settings(path: Path) -> list[Setting]:
    """Read one file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    text = _read_text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path} is not valid TOML: {exc}", hint=f"edit {path}") from exc
    lines = _lines_of_keys(text)
    return [
        Setting(key=key, value=value, origin=f"{path}:{lines[key]}" if key in lines else str(path))
        for key, value in _flatten(document)
    ]


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB, so it is not a config file.")
        return data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}", hint=f"ls -l {path}") from exc


def _flatten(document: dict[str, object]) -> list[tuple[Key, object]]:
    """Leaves at the depth where settings live: 2, and 3 below ``endpoints``."""
    leaves: list[tuple[Key, object]] = []

    def walk(prefix: Key, value: object) -> None:
        depth = 3 if prefix[:1] == (ENDPOINTS,) else 2
        if isinstance(value, dict) and len(prefix) < depth:
            for name, item in cast(dict[str, object], value).items():
                walk((*prefix, name), item)
        else:
            leaves.append((prefix, value))

    walk((), document)
    return leaves


def _lines_of_keys(text: str) -> dict[Key, int]:
    """Where each ``key =`` stands, from 1. Good for messages: inline tables are not opened."""
    lines: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *_parts(assignment[1])), number)
    return lines


def _parts(name: str) -> Key:
    return tuple(part.strip("\"'") for part in _PART.findall(name))
