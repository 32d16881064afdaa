"""What is known of model families: data files beside this one, chosen by the model's name.

A person's own lie in the folder ``profiles`` beside their config file; one of the same name takes
the place of ours.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from rnj_agent.agent.config_files import user_config_file
from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.profiles.profile import Profile, ProfileFile, base_name, settled

GENERIC = "generic"
_SUFFIX = ".toml"


def profile_for(model: str, *, name: str = "") -> Profile:
    """The profile of this name, else that of the longest prefix of the model's name.

    Raises:
        ConfigError: no profile has that name, or a file of the person's is broken.
    """
    known = {**_bundled(), **_own(own_profiles())}
    if not name:
        name = _best(known, base_name(model).lower())
    elif name not in known:
        raise ConfigError(
            f"There is no profile '{name}'; there are {', '.join(sorted(known))}.",
            hint=f"your own would be {own_profiles() / name}{_SUFFIX}",
        )
    return settled(name, known[name], model)


def own_profiles() -> Path:
    """The folder of the person's own profiles."""
    config = Path(os.environ["RNJ_CONFIG"]) if os.environ.get("RNJ_CONFIG") else user_config_file()
    return config.parent / "profiles"


def _best(known: Mapping[str, ProfileFile], model: str) -> str:
    """Of two files with the same prefix, the one whose name comes last."""
    fitting = [
        (len(prefix), name)
        for name, file in known.items()
        for prefix in file.prefixes
        if model.startswith(prefix)
    ]
    return max(fitting, default=(0, GENERIC))[1]


@cache
def _bundled() -> Mapping[str, ProfileFile]:
    return {
        entry.name.removesuffix(_SUFFIX): ProfileFile.model_validate(
            tomllib.loads(entry.read_text(encoding="utf-8"))
        )
        for entry in files("rnj_agent.agent.profiles").iterdir()
        if entry.name.endswith(_SUFFIX)
    }


def _own(folder: Path) -> Mapping[str, ProfileFile]:
    return {path.stem: _read(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def _read(path: Path) -> ProfileFile:
    try:
        return ProfileFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path} is not valid TOML: {exc}", hint=f"edit {path}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path}: '{key}': {first['msg']}.", hint=f"edit {path}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}", hint=f"ls -l {path}") from exc
